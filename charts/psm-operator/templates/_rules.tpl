{{- /* What the operator reads: watches of models and children, and of its own Lease as a canary. */ -}}
{{- define "psm-operator.readRules" -}}
- apiGroups: [retail.mlops]
  resources: [pricesensitivitymodels]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [serviceaccounts, services]
  verbs: [get, list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [get, list, watch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "psm-operator.fullname" . }}]
  verbs: [list, watch]
{{- end -}}

{{- /* What it writes where models are: their status, their children, Events; and why pods fail. No Secrets. */ -}}
{{- define "psm-operator.writeRules" -}}
- apiGroups: [retail.mlops]
  resources: [pricesensitivitymodels/status]
  verbs: [patch]
# for clusters that guard blockOwnerDeletion (OwnerReferencesPermissionEnforcement, OpenShift)
- apiGroups: [retail.mlops]
  resources: [pricesensitivitymodels/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [create, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts, services]
  verbs: [create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [create, patch, delete]
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
