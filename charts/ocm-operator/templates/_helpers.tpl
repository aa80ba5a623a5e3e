{{/* Name of the chart, as it is in labels. */}}
{{- define "ocm-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Name of all objects. It leaves room for what Kubernetes and this chart append to it; where it is cut, a digest keeps it different from others
that begin like it.
*/}}
{{- define "ocm-operator.fullname" -}}
{{- $name := include "ocm-operator.name" . }}
{{- $full := .Values.fullnameOverride }}
{{- if not $full }}
{{- $full = contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- end }}
{{- /* Names of releases may have dots, and those of Services may not. */}}
{{- $full = $full | replace "." "-" | trimSuffix "-" }}
{{- if gt (len $full) 50 }}
{{- $full = printf "%s-%s" ($full | trunc 41 | trimSuffix "-") (sha256sum $full | trunc 8) }}
{{- end }}
{{- $full }}
{{- end }}

{{/*
Name of what is in no namespace. No other release has it, as neither namespaces nor names have a colon: a list of the context, and of what
comes after the name of the release.
*/}}
{{- define "ocm-operator.globalName" -}}
{{- $root := first . }}
{{- concat (list $root.Release.Namespace (include "ocm-operator.fullname" $root)) (rest .) | join ":" }}
{{- end }}

{{/* Labels by which the pods of the operator are chosen. They never change. */}}
{{- define "ocm-operator.selectorLabels" -}}
{{- include "ocm-operator.releaseLabels" . }}
app.kubernetes.io/component: operator
{{- end }}

{{/* Labels by which the pod of `helm test` is chosen. */}}
{{- define "ocm-operator.testLabels" -}}
{{- include "ocm-operator.releaseLabels" . }}
app.kubernetes.io/component: test
{{- end }}

{{- define "ocm-operator.releaseLabels" -}}
{{- dict "app.kubernetes.io/name" (include "ocm-operator.name" .) "app.kubernetes.io/instance" .Release.Name | toYaml }}
{{- end }}

{{/* Labels of an object. `component` of a dict {context, component, labels} says which part it is of; that of the operator is the default. */}}
{{- define "ocm-operator.labelsOf" -}}
{{- $context := .context }}
{{- $own := dict
      "app.kubernetes.io/name" (include "ocm-operator.name" $context)
      "app.kubernetes.io/instance" $context.Release.Name
      "app.kubernetes.io/component" (default "operator" .component)
      "app.kubernetes.io/part-of" "ocm-operator"
      "app.kubernetes.io/managed-by" $context.Release.Service
      "app.kubernetes.io/version" (default $context.Chart.AppVersion $context.Values.image.tag | replace "+" "_" | trunc 63 | trimSuffix "-")
      "helm.sh/chart" (printf "%s-%s" $context.Chart.Name $context.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- toYaml (mergeOverwrite dict (default dict $context.Values.commonLabels | deepCopy) (default dict .labels | deepCopy) $own) }}
{{- end }}

{{/* Labels of an object of the operator. */}}
{{- define "ocm-operator.labels" -}}
{{- include "ocm-operator.labelsOf" (dict "context" .) }}
{{- end }}

{{/* The line `annotations:` with those of a dict {context, annotations}, or nothing. */}}
{{- define "ocm-operator.annotationsOf" -}}
{{- with mergeOverwrite dict (default dict .context.Values.commonAnnotations | deepCopy) (default dict .annotations | deepCopy) }}
{{- dict "annotations" . | toYaml }}
{{- end }}
{{- end }}

{{/* The line `annotations:` of an object without any of its own, or nothing. */}}
{{- define "ocm-operator.annotations" -}}
{{- include "ocm-operator.annotationsOf" (dict "context" .) }}
{{- end }}

{{/* Name of the ServiceAccount. */}}
{{- define "ocm-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "ocm-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Reference of the image. */}}
{{- define "ocm-operator.image" -}}
{{- $image := .Values.image }}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .Chart.AppVersion $image.tag }}{{ end }}
{{- end }}

{{/* The word "true" when the registry in the operator is used, or nothing. */}}
{{- define "ocm-operator.embedded" -}}
{{- if not .Values.externalRegistry.url }}true{{ end }}
{{- end }}

{{/* Host of a Service: a list of the context, and of what its name has after that of the release. */}}
{{- define "ocm-operator.serviceHost" -}}
{{- $root := index . 0 }}
{{- printf "%s%s.%s.svc.%s" (include "ocm-operator.fullname" $root) (index . 1) $root.Release.Namespace $root.Values.clusterDomain }}
{{- end }}

{{/* Host and port under which Flux reaches the registry. */}}
{{- define "ocm-operator.registryAddress" -}}
{{- default (printf "%s:%d" (include "ocm-operator.serviceHost" (list . "")) (int .Values.registry.service.port)) .Values.registry.address }}
{{- end }}

{{/* Host of that, without port and brackets. */}}
{{- define "ocm-operator.registryHost" -}}
{{- regexReplaceAll ":[0-9]+$" (include "ocm-operator.registryAddress" .) "" | trimAll "[]" }}
{{- end }}

{{/*
Name of something that the operator makes: a list of the context, its name without the operator's, and the name that it has in an
installation called ocm-operator, which guides speak of. Two releases in a namespace share none of them.
*/}}
{{- define "ocm-operator.own" -}}
{{- $fullname := include "ocm-operator.fullname" (index . 0) }}
{{- ternary (index . 2) (printf "%s-%s" $fullname (index . 1)) (eq $fullname "ocm-operator") }}
{{- end }}

{{/* Lease by which the leader is elected. */}}
{{- define "ocm-operator.leaseName" -}}
{{- include "ocm-operator.own" (list . "leader" "ocm-operator-leader") }}
{{- end }}

{{/* Secret with the key of the registry's credentials. */}}
{{- define "ocm-operator.keySecret" -}}
{{- default (include "ocm-operator.own" (list . "registry-key" "ocm-registry-key")) .Values.registry.keySecret }}
{{- end }}

{{/* Secret with the certificates of the registry. */}}
{{- define "ocm-operator.certSecret" -}}
{{- $tls := .Values.registry.tls }}
{{- if eq $tls.mode "existingSecret" }}{{ $tls.existingSecret }}
{{- else if eq $tls.mode "certManager" }}{{ include "ocm-operator.fullname" . }}-registry-tls
{{- else }}{{ include "ocm-operator.own" (list . "registry-tls-certs" "ocm-registry-tls-certs") }}
{{- end }}
{{- end }}

{{/* Bytes of a dict {value, name}: a number, or a number with one of the suffixes k, M, G, T, Ki, Mi, Gi, Ti. */}}
{{- define "ocm-operator.bytes" -}}
{{- if not (kindIs "string" .value) }}
{{- int64 .value }}
{{- else }}
{{- $suffixes := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- $digits := regexFind "^[0-9]+" .value }}
{{- $suffix := trimPrefix $digits .value }}
{{- if or (not $digits) (not (hasKey $suffixes $suffix)) }}
{{- fail (printf "%s is %q: want a number of bytes, or one as in 512Mi or 20Gi" .name .value) }}
{{- end }}
{{- mul (int64 $digits) (get $suffixes $suffix) }}
{{- end }}
{{- end }}

{{/* The word "true" when pods have volumes of their own, or nothing: they are those of a StatefulSet then. */}}
{{- define "ocm-operator.stateful" -}}
{{- if .Values.persistence.enabled }}true{{ end }}
{{- end }}

{{/* Milliseconds of a duration as in 1m30s, rounded down. */}}
{{- define "ocm-operator.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 }}
{{- $sum := 0.0 }}
{{- range regexFindAll "[0-9.]+(ms|s|m|h)" . -1 }}
{{- $number := regexFind "^[0-9.]+" . }}
{{- $sum = addf $sum (mulf (float64 $number) (get $units (trimPrefix $number .) | float64)) }}
{{- end }}
{{- int64 $sum }}
{{- end }}
