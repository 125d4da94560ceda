#!/usr/bin/env bash
# Removes nmanager and its rules from a cluster, in each of its forms: a container of the DaemonSet kube-proxy, a
# separate DaemonSet, or only rules, without a process (after an upgrade removed the container).
#   deploy/remove.sh [--image IMAGE] [--timeout SECONDS] [FLAGS OF KUBECTL...]
# --image    the image that cleans the nodes; default: the image that runs now, else the one in deploy/cleanup
# --timeout  for the whole removal; default 600
# Exit code 0: no node has a rule of nmanager. 1: nodes are left, each is named with the reason; the DaemonSet
# nmanager-cleanup then stays and cleans them when they return. 2: wrong usage, or the API server refused a request.
# The script can be run again after an interruption.
set -uo pipefail
here=$(dirname "$0")
image='' timeout=600 flags=()
while (($#)); do
  case $1 in
    --image) image=${2:?--image needs a value}; shift 2 ;;
    --timeout) timeout=${2:?--timeout needs a value}; shift 2 ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) flags+=("$1"); shift ;;
  esac
done
[[ $timeout =~ ^[0-9]+$ ]] || { echo "remove.sh: --timeout takes seconds, not '$timeout'" >&2; exit 2; }
deadline=$((SECONDS + timeout))

kube() { kubectl -n kube-system --request-timeout=30s "${flags[@]}" "$@"; }
refused() { echo "remove.sh: $*" >&2; exit 2; }
in_time() { ((SECONDS < deadline)); }

# NAME READY, one a line: the nodes that may have rules of nmanager.
nodes() {
  kube get nodes -l 'kubernetes.io/os=linux,type!=virtual-kubelet,eks.amazonaws.com/compute-type!=fargate' -o go-template='
{{- range .items}}{{$ready := "Unknown"}}{{range .status.conditions}}{{if eq .type "Ready"}}{{$ready = .status}}{{end}}{{end -}}
{{.metadata.name}} {{$ready}}{{"\n"}}{{end}}'
}
# NODE POD READY DELETED RUN CONTAINERS of every pod of kube-system; DELETED is "-" while the pod is not being deleted; RUN is the run of this
# script that a pod of nmanager-cleanup belongs to.
pods() {
  kube get pods -o go-template='
{{- range .items}}{{$ready := "False"}}{{range .status.conditions}}{{if eq .type "Ready"}}{{$ready = .status}}{{end}}{{end -}}
{{$run := "-"}}{{with .metadata.annotations}}{{with index . "nmanager-cleanup/run"}}{{$run = .}}{{end}}{{end -}}
{{or .spec.nodeName "-"}} {{.metadata.name}} {{$ready}} {{or .metadata.deletionTimestamp "-"}} {{$run}}{{range .spec.containers}} {{.name}}{{end}}{{"\n"}}{{end}}'
}
live_nodes() { awk '$2 == "True" {print $1}' <<<"$1"; }
dead_nodes() { awk '$2 != "True" {print $1}' <<<"$1"; }
of_daemonset() { kube get daemonset "$1" --ignore-not-found -o go-template="$2" || refused "cannot read the DaemonSet $1"; }
image_of() { of_daemonset "$1" '{{range .spec.template.spec.containers}}{{if eq .name "nmanager"}}{{.image}}{{end}}{{end}}'; }

all=$(nodes) || refused "cannot list the nodes"
[[ -n $all ]] || refused "the cluster has no Linux node"
pods >/dev/null || refused "cannot list the pods of kube-system"
sidecar=$(image_of kube-proxy) || exit
alone=$(image_of nmanager) || exit
image=${image:-${sidecar:-$alone}}

# First the process is removed; its rules stay until they are cleaned, so they are never removed in part.
if [[ -n $sidecar ]]; then
  kube patch daemonset kube-proxy --type strategic --patch "$(cat "$here/../patches/remove.yaml")" || refused "kube-proxy cannot be patched"
fi
if [[ -n $alone ]]; then
  kube delete daemonset nmanager --ignore-not-found --wait=false || refused "the DaemonSet nmanager cannot be deleted"
fi

# A rollout of kube-proxy stops at the first dead node, or never begins (OnDelete): in that case the script replaces the
# pods one at a time, as a rollout does.
strategy=$(of_daemonset kube-proxy '{{.spec.updateStrategy.type}}') || exit
held=''
half=$((SECONDS + timeout / 2))  # a node on which this hangs does not prevent the cleanup of the others
while ((SECONDS < half)); do
  all=$(nodes) && found=$(pods) || { sleep 1; continue; }
  live=$(live_nodes "$all")
  held=$(awk 'NR == FNR {live[$1]; next} $1 in live {for (i = 6; i <= NF; i++) if ($i == "nmanager") {print; next}}' \
    <(echo "$live") <(echo "$found"))
  [[ -n $held ]] || break
  dead=$(dead_nodes "$all")
  busy=$(awk 'NR == FNR {live[$1]; next} $1 in live && ($3 != "True" || $4 != "-") {for (i = 6; i <= NF; i++) if ($i == "kube-proxy") {print; next}}' \
    <(echo "$live") <(echo "$found"))
  if [[ -z $busy && ( -n $dead || $strategy == OnDelete ) ]]; then
    kube delete pod "$(awk '$4 == "-" {print $2; exit}' <<<"$held")" --wait=false >/dev/null || true
  fi
  sleep 1
done

# Then a pod with the same image and capabilities cleans every node.
# Only pods of this run count: pods of an earlier run may have cleaned before nmanager was installed again.
run=$(date +%s)-$$
manifest=$(sed -e "s|nmanager-cleanup/run: .*|nmanager-cleanup/run: \"$run\"|" -e "${image:+s|image: nmanager:.*|image: $image|}" "$here/cleanup/daemonset.yaml")
kube apply --validate=false -f - <<<"$manifest" || refused "the DaemonSet nmanager-cleanup cannot be applied"
left=$(live_nodes "$all")
while in_time; do
  all=$(nodes) && found=$(pods) || { sleep 1; continue; }
  clean=$(awk -v run="$run" '$3 == "True" && $4 == "-" && $5 == run {print $1}' <<<"$found")
  left=$(awk 'NR == FNR {clean[$1]; next} !($1 in clean)' <(echo "$clean") <(live_nodes "$all"))
  [[ -n $left ]] || break
  sleep 1
done

dead=$(dead_nodes "$all")
for node in $dead; do echo "not cleaned: $node: the node is not ready"; done
for node in $left; do
  if grep -q "^$node " <<<"$held"; then echo "not cleaned: $node: nmanager still runs there"; continue; fi
  pod=$(awk -v node="$node" '$1 == node && $6 == "done" {print $2; exit}' <<<"$found")
  if [[ -n $pod ]]; then
    echo "not cleaned: $node: see kubectl -n kube-system describe pod $pod, and kubectl -n kube-system logs $pod -c cleanup"
  else
    echo "not cleaned: $node: no pod of nmanager-cleanup runs there"
  fi
done
if [[ -n $dead$left ]]; then
  echo "The DaemonSet nmanager-cleanup stays and cleans these nodes when it can. Run this again to finish."
  exit 1
fi

kube delete daemonset nmanager-cleanup --ignore-not-found --wait=false || refused "nmanager-cleanup cannot be deleted"
account=$(kube get serviceaccount nmanager --ignore-not-found -o name) || refused "cannot look for the account of the stand-alone form"
if [[ -n $alone$account ]]; then
  kube delete clusterrolebinding,clusterrole nmanager --ignore-not-found &&
    kube delete serviceaccount nmanager --ignore-not-found &&
    kube delete configmap -l app.kubernetes.io/name=nmanager --ignore-not-found || refused "the account or settings cannot be deleted"
fi
echo "removed from $(wc -l <<<"$all") nodes"
