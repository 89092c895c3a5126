{{- /* The name of everything in this release. */ -}}
{{- define "psm-operator.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "psm-operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "psm-operator.fullname" .) -}}
{{- end -}}

{{- define "psm-operator.selectorLabels" -}}
app.kubernetes.io/name: psm-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "psm-operator.labels" -}}
{{ include "psm-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "psm-operator.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}
