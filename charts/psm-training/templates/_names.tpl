{{- /* The name of everything in this release: it contains psm-training, by which the rules find its jobs. */ -}}
{{- define "psm-training.fullname" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name | trunc 38 | trimSuffix "-" -}}
{{- if not (contains "psm-training" $name) -}}
{{- $name = printf "%s-psm-training" ($name | trunc 25 | trimSuffix "-") -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "psm-training.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "psm-training.fullname" .) -}}
{{- end -}}

{{- define "psm-training.selectorLabels" -}}
app.kubernetes.io/name: psm-training
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "psm-training.labels" -}}
{{ include "psm-training.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "psm-training.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}
