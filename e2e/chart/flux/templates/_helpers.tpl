{{/* What every controller of Flux has in its pod. The argument has root, name and image. */}}
{{- define "flux.controller" -}}
serviceAccountName: {{ .name }}
automountServiceAccountToken: true
terminationGracePeriodSeconds: 10
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
volumes:
  - name: temp
    emptyDir: {}
  {{- if .storage }}
  - name: data
    emptyDir: {}
  {{- end }}
containers:
  - name: manager
    image: {{ required "the chart needs images.sourceController and images.kustomizeController" .image | quote }}
    imagePullPolicy: Never
    args:
      - --watch-all-namespaces=true
      - --log-encoding=json
      - --enable-leader-election
      {{- if .storage }}
      - --storage-path=/data
      - --storage-adv-addr=source-controller.$(RUNTIME_NAMESPACE).svc.cluster.local.
      {{- end }}
    env:
      - name: RUNTIME_NAMESPACE
        valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
    ports:
      - {name: http-prom, containerPort: 8080}
      - {name: healthz, containerPort: 9440}
      {{- if .storage }}
      - {name: http, containerPort: 9090}
      {{- end }}
    readinessProbe:
      # A source-controller is ready when it serves, which only the leader does.
      httpGet: {path: {{ ternary "/" "/readyz" .storage }}, port: {{ ternary "http" "healthz" .storage }}}
      periodSeconds: 1
    livenessProbe:
      httpGet: {path: /healthz, port: healthz}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    volumeMounts:
      - {name: temp, mountPath: /tmp}
      {{- if .storage }}
      - {name: data, mountPath: /data}
      {{- end }}
{{- end }}
