{{- define "nmanager.check" -}}
{{- if ne .Release.Namespace "kube-system" -}}
{{- fail "nmanager belongs into the namespace kube-system, where kube-proxy is: helm install -n kube-system" -}}
{{- end -}}
{{- end -}}

{{- define "nmanager.labels" -}}
app.kubernetes.io/name: nmanager
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "nmanager.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The settings, with every switch false when all is to be off. */}}
{{- define "nmanager.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- if .Values.rulesOff -}}
{{- range $name := list "RULE_DROP_INVALID_INPUT_ENABLE" "RULE_DROP_INVALID_FORWARD_ENABLE" "RULE_EXTERNAL_CLUSTER_ENABLE" -}}
{{- $_ := set $settings $name "false" -}}
{{- end -}}
{{- $_ := set $settings "NMANAGER_READY_WHEN" "rules" -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{- define "nmanager.resources" -}}
{{- if .Values.resources -}}
{{- toYaml .Values.resources -}}
{{- else -}}
{{- $sizing := .Files.Get "sizing.yaml" | fromYaml -}}
{{- $limit := "" -}}
{{- $services := int .Values.size.services -}}
{{- range index $sizing.limits .Values.size.backend -}}
{{- if and (not $limit) (le $services (int .services)) -}}{{- $limit = .limit -}}{{- end -}}
{{- end -}}
requests:
  cpu: 10m
  memory: {{ $sizing.request }}
limits:
  memory: {{ required (printf "there is no measured memory limit for %d Services with the backend %s: set resources" $services .Values.size.backend) $limit }}
{{- end -}}
{{- end -}}

{{- define "nmanager.securityContext" -}}
runAsUser: 0
runAsGroup: 0
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
seccompProfile:
  type: RuntimeDefault
capabilities:
  drop:
  - ALL
  add:
  - NET_ADMIN
  - NET_RAW
{{- end -}}

{{- define "nmanager.unprivileged" -}}
runAsUser: 65534
runAsGroup: 65534
runAsNonRoot: true
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
seccompProfile:
  type: RuntimeDefault
capabilities:
  drop:
  - ALL
{{- end -}}

{{- define "nmanager.nodes" -}}
nodeSelector:
  kubernetes.io/os: linux
  {{- with .Values.nodeSelector }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
      - matchExpressions:
        - key: type
          operator: NotIn
          values: [virtual-kubelet]
        - key: eks.amazonaws.com/compute-type
          operator: NotIn
          values: [fargate]
{{- end -}}

{{/* What both forms run; the two differ in where the settings are, and in the names of the volumes. */}}
{{- define "nmanager.container" -}}
name: nmanager
image: {{ include "nmanager.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
- run
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
env:
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- if eq .Values.mode "sidecar" }}
{{- range $name, $value := include "nmanager.settings" . | fromYaml }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- else }}
envFrom:
- configMapRef:
    name: nmanager
{{- end }}
securityContext:
  {{- include "nmanager.securityContext" . | nindent 2 }}
resources:
  {{- include "nmanager.resources" . | nindent 2 }}
startupProbe:
  httpGet:
    host: 127.0.0.1
    port: 10261
    path: /livez
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet:
    host: 127.0.0.1
    port: 10261
    path: /livez
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    host: 127.0.0.1
    port: 10261
    path: /readyz
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
volumeMounts:
{{- if eq .Values.mode "sidecar" }}
- name: nmanager-kube-proxy
  mountPath: /var/lib/kube-proxy
  readOnly: true
- name: nmanager-xtables-lock
{{- else }}
- name: xtables-lock
{{- end }}
  mountPath: /run/xtables.lock
  readOnly: false
{{- end -}}

{{/* A Job of kubectl: (list context name hook weight arguments). */}}
{{- define "nmanager.job" -}}
{{- $ := index . 0 -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ index . 1 }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "nmanager.labels" $ | nindent 4 }}
  annotations:
    helm.sh/hook: {{ index . 2 }}
    helm.sh/hook-weight: {{ index . 3 | quote }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 3
  activeDeadlineSeconds: {{ add $.Values.removal.timeoutSeconds 60 }}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: nmanager-job
    spec:
      serviceAccountName: nmanager-{{ if hasPrefix "post-delete" (index . 2) }}remove{{ else }}install{{ end }}
      restartPolicy: Never
      hostNetwork: true  # works before the pod network does
      nodeSelector:
        kubernetes.io/os: linux
      tolerations:
      - operator: Exists
      containers:
      - name: kubectl
        image: {{ $.Values.kubectl.image | quote }}
        command:
        - kubectl
        args:
        {{- range index . 4 }}
        - {{ . | quote }}
        {{- end }}
        env:
        - name: HOME  # for kubectl's cache, which is optional
          value: /nonexistent
        securityContext:
          {{- include "nmanager.unprivileged" $ | nindent 10 }}
        resources:
          requests:
            cpu: 10m
            memory: 32Mi
          limits:
            memory: 128Mi
        volumeMounts:
        - name: manifests
          mountPath: /manifests
          readOnly: true
      volumes:
      - name: manifests
        configMap:
          name: nmanager-{{ if hasPrefix "post-delete" (index . 2) }}remove{{ else }}install{{ end }}
          optional: true
{{- end -}}

{{/* The account of those Jobs: (list context name hook). */}}
{{- define "nmanager.account" -}}
{{- $ := index . 0 -}}
{{- $annotations := printf "helm.sh/hook: %s\n    helm.sh/hook-weight: \"-10\"\n    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded" (index . 2) -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ index . 1 }}
  namespace: {{ $.Release.Namespace }}
  annotations:
    {{ $annotations }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ index . 1 }}
  namespace: {{ $.Release.Namespace }}
  annotations:
    {{ $annotations }}
rules:
- apiGroups: [apps]
  resources: [daemonsets]
  resourceNames: [kube-proxy]
  verbs: [get, patch]
- apiGroups: [apps]
  resources: [daemonsets]
  verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ index . 1 }}
  namespace: {{ $.Release.Namespace }}
  annotations:
    {{ $annotations }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ index . 1 }}
subjects:
- kind: ServiceAccount
  name: {{ index . 1 }}
  namespace: {{ $.Release.Namespace }}
{{- end -}}
