{{/* Name of everything that belongs to the release. */}}
{{- define "graflow.name" -}}
{{- if contains "graflow" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-graflow" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The same for what has no namespace, where two releases may have one name. */}}
{{- define "graflow.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "graflow.name" .) -}}
{{- end -}}

{{/* Name of an object that the operator makes for itself, by installation. */}}
{{- define "graflow.ofInstance" -}}
{{- if .instance }}{{ printf "%s-%s" .name .instance }}{{ else }}{{ .name }}{{ end -}}
{{- end -}}

{{- define "graflow.selector" -}}
app.kubernetes.io/name: graflow
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "graflow.labels" -}}
{{ include "graflow.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "graflow.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "graflow.name" .) -}}
{{- end -}}

{{- define "graflow.image" -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .chart.AppVersion) -}}
{{- end -}}

{{/* URL for runner pods, which must outlive the replica that made them. The kubelet puts the
Service's address into the environment of pods in its namespace; no DNS is needed. */}}
{{- define "graflow.advertise" -}}
{{- $scheme := include "graflow.scheme" . -}}
{{- if .Values.advertise -}}
{{- if not (hasPrefix (printf "%s://" $scheme) .Values.advertise) -}}
{{- fail (printf "advertise is %q, and tls.enabled is %v: it must begin with %s://" .Values.advertise .Values.tls.enabled $scheme) -}}
{{- end -}}
{{- .Values.advertise -}}
{{- else -}}
{{- $prefix := include "graflow.name" . | upper | replace "-" "_" | replace "." "_" -}}
{{- printf "%s://$(%s_SERVICE_HOST):$(%s_SERVICE_PORT)" $scheme $prefix $prefix -}}
{{- end -}}
{{- end -}}

{{- define "graflow.scheme" -}}
{{- .Values.tls.enabled | ternary "https" "http" -}}
{{- end -}}

{{- define "graflow.subject" -}}
- kind: ServiceAccount
  name: {{ include "graflow.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* What the operator does in every namespace whose Workflows it runs. */}}
{{- define "graflow.rules" -}}
- apiGroups: [graflow.dev]
  resources: [workflows]
  verbs: [get, list, watch, delete]  # delete: ttlSecondsAfterFinished
- apiGroups: [graflow.dev]
  resources: [workflows/status]
  verbs: [patch]
- apiGroups: [graflow.dev]
  resources: [codebundles, runnerprofiles]
  verbs: [get]
- apiGroups: [graflow.dev]
  resources: [feedbackrequests]
  verbs: [create, get, list, watch]
- apiGroups: [graflow.dev]
  resources: [feedbackrequests/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [create, get, list, watch, delete, patch]  # patch: take our finalizer off
{{- if .Values.pods.keepLogs }}
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]  # the last lines of attempts that fail
{{- end }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]  # the key of each run; never read again
- apiGroups: [""]
  resources: [events]
  verbs: [create, list]  # list: what a kubelet says of a pod that does not start
{{- end -}}

{{/* The namespaces whose Workflows are run, as what admission looks at; empty: all. */}}
{{- define "graflow.ofNamespaces" -}}
{{- with .Values.watchNamespaces -}}
namespaceSelector:
  matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: In
    values: {{- toYaml . | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* Whether the API server is to ask the operator: over TLS only. */}}
{{- define "graflow.webhook" -}}
{{- with .Values.admission.webhook -}}
{{- if and .enabled (or .certManager.enabled $.Values.tls.enabled) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* A list of texts in CEL. */}}
{{- define "graflow.celList" -}}
['{{ join "', '" . }}']
{{- end -}}

{{/* Whether a security context in CEL asks for what nobody gets. */}}
{{- define "graflow.celPrivileged" -}}
has({{ . }}.privileged) && {{ . }}.privileged == true
      || has({{ . }}.capabilities) && has({{ . }}.capabilities.add) && {{ . }}.capabilities.add.exists(x, x != 'NET_BIND_SERVICE')
      || has({{ . }}.windowsOptions) && has({{ . }}.windowsOptions.hostProcess) && {{ . }}.windowsOptions.hostProcess == true
      || has({{ . }}.procMount) && {{ . }}.procMount != 'Default'
{{- end -}}
