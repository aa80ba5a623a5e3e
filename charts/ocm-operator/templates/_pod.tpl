{{/* The pod of the operator, as Deployment and StatefulSet have it. */}}
{{- define "ocm-operator.pod" -}}
{{- $values := .Values }}
{{- $labels := include "ocm-operator.selectorLabels" . | fromYaml }}
metadata:
  labels:
    {{- mergeOverwrite dict (default dict .Values.commonLabels | deepCopy) (default dict .Values.podLabels | deepCopy) $labels | toYaml | nindent 4 }}
  annotations:
    {{- mergeOverwrite (dict "kubectl.kubernetes.io/default-container" "operator") (default dict .Values.commonAnnotations | deepCopy) (default dict .Values.podAnnotations | deepCopy) | toYaml | nindent 4 }}
spec:
  serviceAccountName: {{ include "ocm-operator.serviceAccountName" . | quote }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automount }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- include "ocm-operator.placement" . | nindent 2 }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range .Values.topologySpreadConstraints }}
    {{- $one := deepCopy . }}
    {{- if not (hasKey $one "labelSelector") }}
    {{- $_ := set $one "labelSelector" (dict "matchLabels" $labels) }}
    {{- end }}
    {{- list $one | toYaml | nindent 4 }}
    {{- end }}
  {{- end }}
  containers:
    - name: operator
      image: {{ include "ocm-operator.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        {{- include "ocm-operator.args" . | trim | nindent 8 }}
      env:
        - name: POD_IP
          valueFrom:
            fieldRef:
              fieldPath: status.podIP
        - name: RUNTIME_NAMESPACE
          valueFrom:
            fieldRef:
              fieldPath: metadata.namespace
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        {{- if include "ocm-operator.embedded" . }}
        - name: registry
          containerPort: 5000
          protocol: TCP
        {{- end }}
        {{- if .Values.externalArtifacts.enabled }}
        - name: artifacts
          containerPort: 9790
          protocol: TCP
        {{- end }}
        {{- if .Values.metrics.enabled }}
        - name: metrics
          containerPort: 8080
          protocol: TCP
        {{- end }}
        - name: health
          containerPort: 9440
          protocol: TCP
      {{- range $name, $path := dict "startup" "/healthz" "liveness" "/healthz" "readiness" "/readyz" }}
      {{ $name }}Probe:
        httpGet:
          path: {{ $path }}
          port: health
        {{- with index (default dict $values.probes) $name }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        {{- if include "ocm-operator.embedded" . }}
        - name: data
          mountPath: /data
        {{- end }}
        {{- if .Values.archives.existingClaim }}
        - name: archives
          mountPath: /archives
          readOnly: {{ .Values.archives.readOnly }}
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: tmp
      emptyDir: {{- include "ocm-operator.emptyDir" .Values.temp.emptyDir }}
    {{- if include "ocm-operator.embedded" . }}
    {{- if .Values.persistence.existingClaim }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim | quote }}
    {{- else if not .Values.persistence.enabled }}
    - name: data
      emptyDir: {{- include "ocm-operator.emptyDir" .Values.persistence.emptyDir }}
    {{- end }}
    {{- end }}
    {{- with .Values.archives.existingClaim }}
    - name: archives
      persistentVolumeClaim:
        claimName: {{ . | quote }}
        readOnly: {{ $values.archives.readOnly }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* Where and how each pod of the release runs: those of the operator, of `helm test` and of the hook of an uninstallation. */}}
{{- define "ocm-operator.placement" -}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- if not (kindIs "invalid" .Values.hostUsers) }}
hostUsers: {{ .Values.hostUsers }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The inside of an emptyDir, of its sizeLimit and medium. */}}
{{- define "ocm-operator.emptyDir" -}}
{{- $inside := dict }}
{{- with .sizeLimit }}{{ $_ := set $inside "sizeLimit" . }}{{ end }}
{{- with .medium }}{{ $_ := set $inside "medium" . }}{{ end }}
{{- if $inside }}{{ toYaml $inside | nindent 8 }}{{ else }} {}{{ end }}
{{- end }}
