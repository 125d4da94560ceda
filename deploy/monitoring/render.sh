#!/usr/bin/env bash
# Writes operator/prometheusrule.yaml from alerts.yaml; the suite checks that they agree.
set -euo pipefail
cd "$(dirname "$0")"
{
  printf '%s\n' '# Written by ../render.sh from ../alerts.yaml.' 'apiVersion: monitoring.coreos.com/v1' 'kind: PrometheusRule' \
    'metadata:' '  name: nmanager' '  namespace: kube-system' '  labels:' '    app.kubernetes.io/name: nmanager' 'spec:'
  grep -v '^#' alerts.yaml | sed 's/^/  /'
} >operator/prometheusrule.yaml
