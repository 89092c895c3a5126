{{- /* A Job's spec: the image as SageMaker runs it, with the same files at the same places. */ -}}
{{- define "psm-training.jobSpec" -}}
activeDeadlineSeconds: {{ .Values.activeDeadlineSeconds }}
backoffLimit: {{ .Values.backoffLimit }}
# 2: the hyperparameters are wrong, 65: the data failed validation; trying again cannot help. An evicted pod is no failure.
podFailurePolicy:
  rules:
    - action: FailJob
      onExitCodes:
        containerName: training
        operator: In
        values: [2, 65]
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
template:
  metadata:
    labels:
      {{- include "psm-training.selectorLabels" . | nindent 6 }}
      {{- with .Values.podLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    annotations:
      {{- merge (dict) .Values.podAnnotations (dict "prometheus.io/scrape" "true" "prometheus.io/port" "9090" "prometheus.io/path" "/metrics") | toYaml | nindent 6 }}
  spec:
    restartPolicy: Never
    serviceAccountName: {{ include "psm-training.serviceAccountName" . }}
    # it talks to AWS only
    automountServiceAccountToken: false
    enableServiceLinks: false
    terminationGracePeriodSeconds: 30
    {{- with .Values.imagePullSecrets }}
    imagePullSecrets:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.priorityClassName }}
    priorityClassName: {{ . }}
    {{- end }}
    securityContext:
      runAsNonRoot: true
      runAsUser: 10001
      runAsGroup: 10001
      fsGroup: 10001
      seccompProfile:
        type: RuntimeDefault
    containers:
      - name: training
        image: {{ include "psm-training.image" . | quote }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        args: [--metrics-port, "9090", train]
        env:
          {{- include "psm-training.env" (dict "own" (include "psm-training.ownEnv" . | fromYamlArray) "extra" .Values.extraEnv) | nindent 10 }}
        ports:
          - name: metrics
            containerPort: 9090
            protocol: TCP
        resources:
          {{- toYaml .Values.resources | nindent 10 }}
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities:
            drop: [ALL]
        # why a run failed
        terminationMessagePath: /opt/ml/output/failure
        terminationMessagePolicy: FallbackToLogsOnError
        volumeMounts:
          - name: hyperparameters
            mountPath: /opt/ml/input/config
            readOnly: true
          {{- if .Values.data.claim }}
          - name: data
            mountPath: /opt/ml/input/data/data
            readOnly: true
            {{- with .Values.data.subPath }}
            subPath: {{ . | quote }}
            {{- end }}
          {{- end }}
          - name: checkpoints
            mountPath: /opt/ml/checkpoints
          - name: scratch
            mountPath: /opt/ml/model
            subPath: model
          - name: scratch
            mountPath: /tmp
            subPath: tmp
    volumes:
      - name: hyperparameters
        configMap:
          name: {{ include "psm-training.fullname" . }}
      {{- with .Values.data.claim }}
      - name: data
        persistentVolumeClaim:
          claimName: {{ . }}
          readOnly: true
      {{- end }}
      - name: checkpoints
        {{- if .Values.checkpoints.claim }}
        persistentVolumeClaim:
          claimName: {{ .Values.checkpoints.claim }}
        {{- else }}
        emptyDir: {}
        {{- end }}
      - name: scratch
        emptyDir:
          sizeLimit: {{ .Values.scratch.sizeLimit }}
    {{- with .Values.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.affinity }}
    affinity:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end -}}
