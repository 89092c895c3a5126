{{- /* The release's name as a Service may have it: Helm takes dots and a leading digit, a Service does not. */ -}}
{{- define "psm-operator.releaseName" -}}
{{- $name := .Release.Name | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $name -}}{{- $name = printf "psm-%s" $name -}}{{- end -}}
{{- $name -}}
{{- end -}}

{{- /* The name of everything in this release. */ -}}
{{- define "psm-operator.fullname" -}}
{{- .Values.fullnameOverride | default (include "psm-operator.releaseName" .) | trunc 50 | trimSuffix "-" -}}
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

{{- /* Variables by name: what extraEnv says replaces what the chart says. */ -}}
{{- define "psm-operator.env" -}}
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

{{- define "psm-operator.ownEnv" -}}
- name: PSM_OPERATOR_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: PSM_OPERATOR_LEASE_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: PSM_OPERATOR_LEASE_NAME
  value: {{ include "psm-operator.fullname" . | quote }}
- name: PSM_OPERATOR_NAMESPACES
  value: {{ join "," .Values.watchNamespaces | quote }}
- name: PSM_OPERATOR_WORKERS
  value: {{ .Values.workers | quote }}
- name: PSM_OPERATOR_LOG_LEVEL
  value: {{ .Values.log.level | quote }}
- name: PSM_OPERATOR_LOG_STYLE
  value: {{ .Values.log.style | quote }}
- name: PSM_OPERATOR_PREDICTOR_IMAGE
  value: {{ .Values.predictor.image | quote }}
- name: PSM_OPERATOR_PREDICTOR_PULL_POLICY
  value: {{ .Values.predictor.pullPolicy | quote }}
- name: PSM_OPERATOR_PREDICTOR_ENV
  value: {{ toJson .Values.predictor.env | quote }}
{{- with .Values.registryEvents.queueUrl }}
- name: PSM_OPERATOR_REGISTRY_EVENTS_QUEUE_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.cloudWatch.prefix }}
- name: PSM_OPERATOR_CLOUDWATCH_PREFIX
  value: {{ . | quote }}
{{- end }}
{{- with .Values.cloudWatch.region }}
- name: PSM_OPERATOR_CLOUDWATCH_REGION
  value: {{ . | quote }}
{{- end }}
{{- with .Values.cloudWatch.clusterName }}
- name: PSM_OPERATOR_CLOUDWATCH_CLUSTER
  value: {{ . | quote }}
{{- end }}
{{- with .Values.cloudWatch.tags }}
- name: PSM_OPERATOR_CLOUDWATCH_TAGS
  value: {{ toJson . | quote }}
{{- end }}
{{- with .Values.aws.region }}
- name: AWS_REGION
  value: {{ . | quote }}
{{- end }}
{{- end -}}
