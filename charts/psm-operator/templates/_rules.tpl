{{- /* What the operator watches: models and children, and its own Lease as a canary. */ -}}
{{- define "psm-operator.watchRules" -}}
- apiGroups: [retail.mlops]
  resources: [pricesensitivitymodels]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [serviceaccounts, services]
  verbs: [list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [list, watch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "psm-operator.fullname" . }}]
  verbs: [list, watch]
{{- end -}}

{{- /*
What it does where models are: a fresh look before it acts, status, children, Events; and why pods fail. No Secrets.
Server-side apply is patch, and create where there is nothing yet. A test compares this with what was audited.
*/ -}}
{{- define "psm-operator.actRules" -}}
- apiGroups: [retail.mlops]
  resources: [pricesensitivitymodels]
  {{- if .Values.cloudWatch.enabled }}
  # patch: its one finalizer, on models with spec.monitoring.cloudWatch; RBAC cannot say less
  verbs: [get, patch]
  {{- else }}
  verbs: [get]
  {{- end }}
- apiGroups: [retail.mlops]
  resources: [pricesensitivitymodels/status]
  verbs: [patch]
# for clusters that guard blockOwnerDeletion (OwnerReferencesPermissionEnforcement, OpenShift)
- apiGroups: [retail.mlops]
  resources: [pricesensitivitymodels/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, create, patch, delete]
# every model has one for as long as it lives
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [get, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{- /* The Lease by which one operator leads. A create cannot be limited to a name. */ -}}
{{- define "psm-operator.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "psm-operator.fullname" . }}]
  verbs: [get, update]
{{- end -}}

{{- define "psm-operator.subject" -}}
- kind: ServiceAccount
  name: {{ include "psm-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
