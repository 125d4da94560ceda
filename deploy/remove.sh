#!/usr/bin/env bash
# Takes nmanager out of the kube-proxy DaemonSet without a trace: first it removes its rules itself on every node, then
# the container goes.
#   deploy/remove.sh [FLAGS OF KUBECTL...]      for instance --context NAME
set -euo pipefail
patch=$(dirname "$0")/../patches/remove.yaml
kube() { kubectl -n kube-system "$@"; }

kube set env daemonset/kube-proxy -c nmanager RULE_DROP_INVALID_INPUT_ENABLE=false RULE_EXTERNAL_CLUSTER_ENABLE=false "$@"
# A pod is ready when none of its rules stand any more.
kube rollout status daemonset/kube-proxy "$@"
kube patch daemonset kube-proxy --patch-file "$patch" "$@"
kube rollout status daemonset/kube-proxy "$@"
