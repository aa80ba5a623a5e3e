{{/* Name of the job of Prometheus that looks at the metrics of the release: the same whichever kind of monitor is used. */}}
{{- define "ocm-operator.job" -}}
{{- printf "%s/%s" .Release.Namespace (include "ocm-operator.fullname" .) }}
{{- end }}

{{/* What follows the selector of a monitor, of a dict {context, monitor, port}. */}}
{{- define "ocm-operator.endpoint" -}}
- port: {{ .port }}
  path: /metrics
  {{- with .monitor.interval }}
  interval: {{ . }}
  {{- end }}
  {{- with .monitor.scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  # The labels namespace and name of a metric are those of the object that it is about.
  honorLabels: true
  relabelings:
    - targetLabel: job
      replacement: {{ include "ocm-operator.job" .context }}
    {{- with .monitor.relabelings }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .monitor.metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
