{{/* A flag with a value, unless the value is null or empty: a list of its name and the value. */}}
{{- define "ocm-operator.flag" -}}
{{- $name := index . 0 }}
{{- $value := index . 1 }}
{{- if kindIs "float64" $value }}
{{- if eq $value (floor $value) }}{{ $value = int64 $value }}{{ end }}
{{- end }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
- {{ printf "--%s=%v" $name $value | quote }}
{{- end }}
{{- end }}

{{/* A flag of a number of bytes: a list of its name, the value, and the name of the value in values.yaml. */}}
{{- define "ocm-operator.bytesFlag" -}}
{{- $value := index . 1 }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
- {{ printf "--%s=%s" (index . 0) (include "ocm-operator.bytes" (dict "value" $value "name" (index . 2))) | quote }}
{{- end }}
{{- end }}

{{/* A flag that is set or not: a list of its name and whether it is. */}}
{{- define "ocm-operator.switch" -}}
{{- if index . 1 }}
- {{ printf "--%s" (index . 0) | quote }}
{{- end }}
{{- end }}

{{/* Arguments of the operator, in a stable order. */}}
{{- define "ocm-operator.args" -}}
{{- include "ocm-operator.generalArgs" . }}
{{- include "ocm-operator.controllerArgs" . }}
{{- include "ocm-operator.limitArgs" . }}
{{- if include "ocm-operator.embedded" . }}
{{- include "ocm-operator.registryArgs" . }}
{{- else }}
{{- include "ocm-operator.externalArgs" . }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "ocm-operator.generalArgs" -}}
{{- $gates := list }}
{{- range $name := .Files.Get "files/features.yaml" | fromYaml | keys | sortAlpha }}
{{- $gates = append $gates (printf "%s=%t" $name (index $.Values.features $name)) }}
{{- end }}
{{- include "ocm-operator.flag" (list "features" (join "," $gates)) }}
{{- include "ocm-operator.flag" (list "watch-namespace" .Values.watchNamespace) }}
{{- with .Values.rbac.secrets }}
{{- if .watch }}
{{- include "ocm-operator.switch" (list "watch-secrets" true) }}
- {{ printf "--watch-secrets-label-selector=%s" .labelSelector | quote }}
{{- end }}
{{- include "ocm-operator.flag" (list "secret-check-interval" .checkInterval) }}
{{- include "ocm-operator.flag" (list "secret-checks-per-second" .checksPerSecond) }}
{{- end }}
{{- include "ocm-operator.switch" (list "enable-leader-election" .Values.leaderElection.enabled) }}
{{- if .Values.leaderElection.enabled }}
{{- include "ocm-operator.flag" (list "leader-election-id" (include "ocm-operator.leaseName" .)) }}
{{- include "ocm-operator.flag" (list "leader-election-lease-duration" .Values.leaderElection.leaseDuration) }}
{{- include "ocm-operator.flag" (list "leader-election-renew-deadline" .Values.leaderElection.renewDeadline) }}
{{- include "ocm-operator.flag" (list "leader-election-retry-period" .Values.leaderElection.retryPeriod) }}
{{- end }}
{{- include "ocm-operator.flag" (list "log-level" .Values.log.level) }}
{{- include "ocm-operator.flag" (list "log-encoding" .Values.log.encoding) }}
{{- include "ocm-operator.flag" (list "metrics-addr" (ternary ":8080" "0" .Values.metrics.enabled)) }}
{{- include "ocm-operator.flag" (list "health-addr" ":9440") }}
{{- if .Values.pprof.enabled }}
{{- include "ocm-operator.flag" (list "pprof-addr" "localhost:6060") }}
{{- end }}
{{- include "ocm-operator.flag" (list "events-addr" .Values.eventsAddr) }}
{{- with .Values.security }}
{{- include "ocm-operator.switch" (list "no-cross-namespace-refs" .noCrossNamespaceRefs) }}
{{- include "ocm-operator.switch" (list "deny-unprotected-resources" .denyUnprotectedResources) }}
{{- include "ocm-operator.flag" (list "allowed-hosts" (join "," .allowedHosts)) }}
{{- include "ocm-operator.flag" (list "enable-access-methods" (join "," .accessMethods)) }}
{{- include "ocm-operator.switch" (list "object-level-workload-identity" .objectLevelWorkloadIdentity) }}
{{- include "ocm-operator.switch" (list "no-operator-identity" .noOperatorIdentity) }}
{{- end }}
{{- end }}

{{- define "ocm-operator.controllerArgs" -}}
{{- with .Values.controllers }}
{{- include "ocm-operator.flag" (list "concurrent" .concurrent) }}
{{- $kinds := list }}
{{- range $kind, $n := .concurrentKinds }}
{{- $kinds = append $kinds (printf "%s=%d" $kind (int $n)) }}
{{- end }}
{{- include "ocm-operator.flag" (list "concurrent-kinds" (join "," $kinds)) }}
{{- include "ocm-operator.flag" (list "concurrent-transfers" .concurrentTransfers) }}
{{- include "ocm-operator.flag" (list "transfers-per-host" .transfersPerHost) }}
{{- include "ocm-operator.flag" (list "concurrent-mappings" .concurrentMappings) }}
{{- include "ocm-operator.flag" (list "min-retry-delay" .minRetryDelay) }}
{{- include "ocm-operator.flag" (list "max-retry-delay" .maxRetryDelay) }}
{{- include "ocm-operator.flag" (list "interval-jitter-percentage" .intervalJitterPercentage) }}
{{- include "ocm-operator.flag" (list "kube-api-qps" .kubeApiQPS) }}
{{- include "ocm-operator.flag" (list "kube-api-burst" .kubeApiBurst) }}
{{- end }}
{{- end }}

{{- define "ocm-operator.limitArgs" -}}
{{- with .Values.limits }}
{{- include "ocm-operator.bytesFlag" (list "max-resource-size" .resourceSize "limits.resourceSize") }}
{{- include "ocm-operator.bytesFlag" (list "max-descriptor-size" .descriptorSize "limits.descriptorSize") }}
{{- include "ocm-operator.flag" (list "max-tags" .tags) }}
{{- include "ocm-operator.bytesFlag" (list "max-chart-index-size" .chartIndexSize "limits.chartIndexSize") }}
{{- include "ocm-operator.bytesFlag" (list "max-archive-size" .archiveSize "limits.archiveSize") }}
{{- include "ocm-operator.flag" (list "max-archive-entries" .archiveEntries) }}
{{- include "ocm-operator.bytesFlag" (list "max-edited-file-size" .editedFileSize "limits.editedFileSize") }}
{{- include "ocm-operator.bytesFlag" (list "max-config-size" .configSize "limits.configSize") }}
{{- include "ocm-operator.bytesFlag" (list "max-values-size" .valuesSize "limits.valuesSize") }}
{{- include "ocm-operator.flag" (list "max-mapping-time" .mappingTime) }}
{{- include "ocm-operator.bytesFlag" (list "max-mapping-memory" .mappingMemory "limits.mappingMemory") }}
{{- include "ocm-operator.bytesFlag" (list "max-mapping-output" .mappingOutput "limits.mappingOutput") }}
{{- end }}
{{- with .Values.archives }}
{{- if .existingClaim }}
{{- include "ocm-operator.flag" (list "archives-dir" "/archives") }}
{{- end }}
{{- end }}
{{- include "ocm-operator.flag" (list "archives-temp-size" (include "ocm-operator.tempSize" .)) }}
{{- include "ocm-operator.flag" (list "archives-max-size" (include "ocm-operator.archiveSize" .)) }}
{{- with .Values.git }}
{{- include "ocm-operator.bytesFlag" (list "git-max-repository-size" .maxRepositorySize "git.maxRepositorySize") }}
{{- include "ocm-operator.flag" (list "git-max-files" .maxFiles) }}
{{- include "ocm-operator.switch" (list "git-cross-namespace-refs" .crossNamespaceRefs) }}
{{- end }}
{{- with .Values.snapshots }}
{{- include "ocm-operator.flag" (list "snapshot-history" .history) }}
{{- include "ocm-operator.flag" (list "snapshot-recheck-interval" .recheckInterval) }}
{{- end }}
{{- end }}

{{/*
Bytes that archives and parts of copies may take: what is said, or four fifths of the folder for temporary files, or two fifths where the same
is for what is on its way to another registry. The rest is for git, and for what is being removed.
*/}}
{{- define "ocm-operator.tempSize" -}}
{{- if not (kindIs "invalid" .Values.archives.tempSize) }}
{{- include "ocm-operator.bytes" (dict "value" .Values.archives.tempSize "name" "archives.tempSize") }}
{{- else if .Values.temp.emptyDir.sizeLimit }}
{{- mul (div (include "ocm-operator.tempLimit" . | int64) 5) (ternary 2 4 (empty (include "ocm-operator.embedded" .))) }}
{{- end }}
{{- end }}

{{/* Bytes that may be on their way to another registry: what is said, or two thirds of what tempSize leaves. */}}
{{- define "ocm-operator.stagedSize" -}}
{{- if not (kindIs "invalid" .Values.externalRegistry.stagedSize) }}
{{- include "ocm-operator.bytes" (dict "value" .Values.externalRegistry.stagedSize "name" "externalRegistry.stagedSize") }}
{{- else if .Values.temp.emptyDir.sizeLimit }}
{{- mul (div (sub (include "ocm-operator.tempLimit" . | int64) (include "ocm-operator.tempSize" . | int64)) 3) 2 }}
{{- end }}
{{- end }}

{{/* Bytes of the folder for temporary files, where it has a limit. */}}
{{- define "ocm-operator.tempLimit" -}}
{{- include "ocm-operator.bytes" (dict "value" .Values.temp.emptyDir.sizeLimit "name" "temp.emptyDir.sizeLimit") }}
{{- end }}

{{/* Bytes of the largest archive: what is said, or the operator's default where there is room for it. */}}
{{- define "ocm-operator.archiveSize" -}}
{{- $temp := include "ocm-operator.tempSize" . }}
{{- if not (kindIs "invalid" .Values.archives.maxSize) }}
{{- include "ocm-operator.bytes" (dict "value" .Values.archives.maxSize "name" "archives.maxSize") }}
{{- else if $temp }}
{{- min (int64 $temp) 17179869184 }}
{{- end }}
{{- end }}

{{- define "ocm-operator.registryArgs" -}}
{{- $registry := .Values.registry }}
{{- include "ocm-operator.flag" (list "registry-listen" ":5000") }}
{{- include "ocm-operator.flag" (list "registry-address" (include "ocm-operator.registryAddress" .)) }}
{{- include "ocm-operator.flag" (list "registry-dir" "/data") }}
{{- include "ocm-operator.flag" (list "registry-max-size" (include "ocm-operator.registrySize" .)) }}
{{- include "ocm-operator.flag" (list "registry-high-water-mark" $registry.highWaterMark) }}
{{- include "ocm-operator.flag" (list "registry-low-water-mark" $registry.lowWaterMark) }}
{{- include "ocm-operator.bytesFlag" (list "registry-max-blob-size" $registry.maxBlobSize "registry.maxBlobSize") }}
{{- include "ocm-operator.flag" (list "registry-scrub-interval" $registry.scrubInterval) }}
{{- include "ocm-operator.switch" (list "registry-anonymous-pull" $registry.anonymousPull) }}
{{- include "ocm-operator.flag" (list "registry-token-auth" $registry.tokenAuth.enabled) }}
{{- if $registry.tokenAuth.enabled }}
{{- include "ocm-operator.flag" (list "registry-token-audience" $registry.tokenAuth.audience) }}
{{- end }}
{{- if eq $registry.tls.mode "off" }}
{{- include "ocm-operator.switch" (list "registry-plain-http" true) }}
{{- else }}
{{- include "ocm-operator.flag" (list "registry-cert-secret" (include "ocm-operator.certSecret" .)) }}
{{- end }}
{{- include "ocm-operator.flag" (list "registry-key-secret" (include "ocm-operator.keySecret" .)) }}
{{- include "ocm-operator.flag" (list "registry-writer-secret" $registry.writerSecret) }}
{{- if .Values.externalArtifacts.enabled }}
{{- include "ocm-operator.switch" (list "external-artifacts" true) }}
{{- include "ocm-operator.flag" (list "artifact-addr" ":9790") }}
{{- include "ocm-operator.flag" (list "artifact-address" (default (printf "%s:9790" (include "ocm-operator.serviceHost" (list . "-artifacts"))) .Values.externalArtifacts.address)) }}
{{- end }}
{{- end }}

{{/* Bytes that the content of the registry may take: what is said, or nine tenths of its folder, which the index is in as well. */}}
{{- define "ocm-operator.registrySize" -}}
{{- $said := .Values.registry.maxSize }}
{{- if not (or (kindIs "invalid" $said) (eq (toString $said) "")) }}
{{- include "ocm-operator.bytes" (dict "value" $said "name" "registry.maxSize") }}
{{- else if and (not .Values.persistence.enabled) .Values.persistence.emptyDir.sizeLimit }}
{{- mul (div (include "ocm-operator.bytes" (dict "value" .Values.persistence.emptyDir.sizeLimit "name" "persistence.emptyDir.sizeLimit") | int64) 10) 9 }}
{{- end }}
{{- end }}

{{- define "ocm-operator.externalArgs" -}}
{{- with .Values.externalRegistry }}
{{- include "ocm-operator.flag" (list "snapshot-registry" .url) }}
{{- include "ocm-operator.flag" (list "snapshot-registry-secret" .secretName) }}
{{- include "ocm-operator.flag" (list "snapshot-registry-pull-secret" .pullSecretName) }}
{{- include "ocm-operator.flag" (list "snapshot-registry-provider" .provider) }}
{{- include "ocm-operator.flag" (list "snapshot-registry-cert-secret" .certSecretName) }}
{{- include "ocm-operator.switch" (list "snapshot-registry-plain-http" .plainHTTP) }}
{{- end }}
{{- with include "ocm-operator.stagedSize" . }}
{{- /* What could never be on its way is refused at once, and does not wait for room. */}}
{{- include "ocm-operator.flag" (list "registry-max-blob-size" (min (int64 .) 17179869184)) }}
{{- include "ocm-operator.flag" (list "registry-max-staged-size" .) }}
{{- end }}
{{- end }}
