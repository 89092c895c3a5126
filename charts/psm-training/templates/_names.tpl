{{- /* The release's name as a Service may have it: Helm takes dots and a leading digit, a Service does not. */ -}}
{{- define "psm-training.releaseName" -}}
{{- $name := .Release.Name | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $name -}}{{- $name = printf "psm-%s" $name -}}{{- end -}}
{{- $name -}}
{{- end -}}

{{- /* The name of everything in this release: it contains psm-training, by which the rules find its jobs. */ -}}
{{- define "psm-training.fullname" -}}
{{- $name := .Values.fullnameOverride | default (include "psm-training.releaseName" .) | trunc 38 | trimSuffix "-" -}}
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

{{- /* Variables by name: what extraEnv says replaces what the chart says. */ -}}
{{- define "psm-training.env" -}}
{{- $extra := dict -}}
{{- range .extra -}}
{{- if hasKey $extra .name -}}{{- fail (printf "extraEnv names %s twice; leave one of them out" .name) -}}{{- end -}}
{{- $_ := set $extra .name . -}}
{{- end -}}
{{- $all := list -}}
{{- range .own -}}
{{- if not (hasKey $extra .name) -}}{{- $all = append $all . -}}{{- end -}}
{{- end -}}
{{- concat $all (.extra | default list) | toYaml -}}
{{- end -}}

{{- define "psm-training.ownEnv" -}}
# what libraries cache goes where there is room
- name: XDG_CACHE_HOME
  value: /tmp/cache
{{- with .Values.aws.region }}
- name: AWS_REGION
  value: {{ . | quote }}
{{- end }}
{{- end -}}
