{{/* Ends with an error for values that can't work together, and says what to do. */}}
{{- define "ocm-operator.validate" -}}
{{- include "ocm-operator.validateNames" . }}
{{- include "ocm-operator.validateTexts" . }}
{{- include "ocm-operator.validateTimes" . }}
{{- include "ocm-operator.validateFeatures" . }}
{{- include "ocm-operator.validateReplicas" . }}
{{- include "ocm-operator.validateStorage" . }}
{{- if include "ocm-operator.embedded" . }}
{{- include "ocm-operator.validateRegistry" . }}
{{- else }}
{{- include "ocm-operator.validateExternal" . }}
{{- end }}
{{- include "ocm-operator.validateNetwork" . }}
{{- end }}

{{- define "ocm-operator.validateFeatures" -}}
{{- $requires := .Files.Get "files/features.yaml" | fromYaml }}
{{- range $feature, $others := $requires }}
{{- if index $.Values.features $feature }}
{{- range $others }}
{{- if not (index $.Values.features .) }}
{{- fail (printf "features: feature %s requires %s: switch on %s or switch off %s" $feature . . $feature) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $feature, $_ := .Values.features }}
{{- if not (hasKey $requires $feature) }}
{{- fail (printf "features: unknown feature %q, known are %s" $feature ($requires | keys | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
{{- range $kind, $_ := .Values.controllers.concurrentKinds }}
{{- if not (hasKey $requires $kind) }}
{{- fail (printf "controllers.concurrentKinds: unknown kind %q, known are %s" $kind ($requires | keys | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
{{- if and .Values.rbac.aggregateDeployers (not .Values.rbac.aggregate) }}
{{- fail "rbac.aggregateDeployers adds to what rbac.aggregate grants: switch on both, or neither" }}
{{- end }}
{{- if and .Values.security.noCrossNamespaceRefs .Values.git.crossNamespaceRefs }}
{{- fail "git.crossNamespaceRefs has no effect with security.noCrossNamespaceRefs, which refuses all references to other namespaces: switch off one of them" }}
{{- end }}
{{- end }}

{{- define "ocm-operator.validateReplicas" -}}
{{- $stateful := include "ocm-operator.stateful" . }}
{{- if not .Values.leaderElection.enabled }}
{{- if gt (int .Values.replicaCount) 1 }}
{{- fail "replicaCount above 1 needs leaderElection.enabled=true: without it each pod would believe that it leads" }}
{{- end }}
{{- if and (not $stateful) .Values.strategy (ne (.Values.strategy.type | default "RollingUpdate") "Recreate") }}
{{- fail "strategy.type must be Recreate without leaderElection.enabled: the pods of a rolling update would both lead" }}
{{- end }}
{{- end }}
{{- if and $stateful .Values.strategy }}
{{- if or (eq (.Values.strategy.type | default "") "Recreate") (hasKey (.Values.strategy.rollingUpdate | default dict) "maxSurge") }}
{{- fail "strategy: with persistence.enabled it is that of a StatefulSet, which knows no Recreate and no maxSurge: drop them" }}
{{- end }}
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- if .enabled }}
{{- $min := not (kindIs "invalid" .minAvailable) }}
{{- $max := not (kindIs "invalid" .maxUnavailable) }}
{{- if and $min $max (ne (toString .maxUnavailable) "1") }}
{{- fail "podDisruptionBudget: set minAvailable or maxUnavailable, not both" }}
{{- end }}
{{- if not (or $min $max) }}
{{- fail "podDisruptionBudget: set minAvailable or maxUnavailable, or enabled=false" }}
{{- end }}
{{- $replicas := int $.Values.replicaCount }}
{{- if $min }}
{{- $stay := int .minAvailable }}
{{- if kindIs "string" .minAvailable }}
{{- /* Kubernetes rounds up. */}}
{{- $stay = div (add (mul (trimSuffix "%" .minAvailable | int) $replicas) 99) 100 }}
{{- end }}
{{- if and (gt $replicas 0) (ge (int $stay) $replicas) }}
{{- fail (printf "podDisruptionBudget.minAvailable is %v with replicaCount %d: no node with the operator could be drained; let it be less, or have more replicas" .minAvailable $replicas) }}
{{- end }}
{{- else if eq (toString .maxUnavailable | trimSuffix "%" | int) 0 }}
{{- fail (printf "podDisruptionBudget.maxUnavailable is %v: no node with the operator could be drained; let it be 1 at least, or set enabled=false" .maxUnavailable) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ocm-operator.validateStorage" -}}
{{- include "ocm-operator.validateMemory" . }}
{{- with .Values.persistence }}
{{- if and .existingClaim (not .enabled) }}
{{- fail "persistence.existingClaim is not used without persistence.enabled=true: set it, or drop the claim" }}
{{- end }}
{{- if and .existingClaim (gt (int $.Values.replicaCount) 1) }}
{{- fail "persistence.existingClaim is for one replica, as each needs a volume of its own: set replicaCount=1, or drop the claim, so that each replica gets one" }}
{{- end }}
{{- end }}
{{- $temp := include "ocm-operator.tempSize" . }}
{{- if not (kindIs "invalid" .Values.archives.maxSize) }}
{{- $max := include "ocm-operator.archiveSize" . }}
{{- if and $temp (gt (int64 $max) (int64 $temp)) }}
{{- fail (printf "archives.maxSize is %s bytes, and archives.tempSize, where archives are unpacked, %s: give the second more, and temp.emptyDir.sizeLimit with it" $max $temp) }}
{{- end }}
{{- end }}
{{- if and $temp .Values.temp.emptyDir.sizeLimit }}
{{- $limit := include "ocm-operator.tempLimit" . }}
{{- if gt (int64 $temp) (int64 $limit) }}
{{- fail (printf "archives.tempSize is %s bytes, and temp.emptyDir.sizeLimit, which they are in, %s: the pod would be evicted; give the second more" $temp $limit) }}
{{- end }}
{{- if lt (int64 $temp) 1048576 }}
{{- fail (printf "temp.emptyDir.sizeLimit is %s bytes, of which archives get %s: they need 1Mi at least" $limit $temp) }}
{{- end }}
{{- if not (include "ocm-operator.embedded" .) }}
{{- $staged := include "ocm-operator.stagedSize" . }}
{{- if gt (add (int64 $temp) (int64 $staged)) (int64 $limit) }}
{{- fail (printf "archives.tempSize is %s bytes and externalRegistry.stagedSize %s, and temp.emptyDir.sizeLimit, which both are in, %s: the pod would be evicted; give the third more" $temp $staged $limit) }}
{{- end }}
{{- if lt (int64 $staged) 1048576 }}
{{- fail (printf "temp.emptyDir.sizeLimit is %s bytes, of which archives.tempSize leaves %s for what is on its way to externalRegistry.url: it needs 1Mi at least" $limit $staged) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ocm-operator.validateNames" -}}
{{- $name := include "ocm-operator.fullname" . }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{- fail (printf "all objects would be called %q, and a Service must have a name of small letters, digits and dashes that begins with a letter: set fullnameOverride" $name) }}
{{- end }}
{{- end }}

{{/* Texts for which a pattern in the schema would say that they are wrong, and hardly how they are right. */}}
{{- define "ocm-operator.validateTexts" -}}
{{- range $name, $address := dict "registry.address" .Values.registry.address "externalArtifacts.address" .Values.externalArtifacts.address }}
{{- if $address }}
{{- if or (not (regexMatch "^([^:/ ]+|\\[[0-9a-fA-F:]+\\]):[1-9][0-9]{0,4}$" $address)) (gt (regexFind "[0-9]+$" $address | int) 65535) }}
{{- fail (printf "%s is %q: want host:port, as in registry.example.com:443" $name $address) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.rbac.secrets.labelSelector }}
{{- $word := "[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?" }}
{{- $value := printf "(%s)?" $word }}
{{- $compared := printf " *(=|==|!=) *%s" $value }}
{{- $counted := " *[<>] *[0-9]+" }}
{{- $listed := printf " +(in|notin) *\\( *%s( *, *%s)* *\\)" $value $value }}
{{- $label := printf "([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?%s" $word }}
{{- $one := printf "(! *%s|%s(%s|%s|%s)?)" $label $label $compared $counted $listed }}
{{- if not (regexMatch (printf "^ *%s *(, *%s *)*$" $one $one) .) }}
{{- fail (printf "rbac.secrets.labelSelector is %q: want a selector of labels, as in reconcile.fluxcd.io/watch=Enabled or app=web,tier!=test" .) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ocm-operator.validateTimes" -}}
{{- $values := dict
      "leaderElection.leaseDuration" (default "35s" .Values.leaderElection.leaseDuration)
      "leaderElection.renewDeadline" (default "30s" .Values.leaderElection.renewDeadline)
      "leaderElection.retryPeriod" (default "5s" .Values.leaderElection.retryPeriod)
      "controllers.minRetryDelay" (default "750ms" .Values.controllers.minRetryDelay)
      "controllers.maxRetryDelay" (default "15m" .Values.controllers.maxRetryDelay)
      "rbac.secrets.checkInterval" (default "10s" .Values.rbac.secrets.checkInterval) }}
{{- $ms := dict }}
{{- range $name, $value := $values }}
{{- $_ := set $ms $name (include "ocm-operator.milliseconds" $value | int64) }}
{{- end }}
{{- if .Values.leaderElection.enabled }}
{{- /* Nobody else may lead while the leader still believes that it does. */}}
{{- range $pair := list
      (list "leaderElection.leaseDuration" "leaderElection.renewDeadline")
      (list "leaderElection.renewDeadline" "leaderElection.retryPeriod") }}
{{- $long := index $pair 0 }}
{{- $short := index $pair 1 }}
{{- /* A period is drawn out by up to a fifth, so that not all try at once. */}}
{{- if le (mul (get $ms $long) 5) (mul (get $ms $short) (ternary 6 5 (eq $short "leaderElection.retryPeriod"))) }}
{{- fail (printf "%s is %s and %s %s: the first must be longer%s" $long (get $values $long) $short (get $values $short) (ternary " by more than a fifth" "" (eq $short "leaderElection.retryPeriod"))) }}
{{- end }}
{{- end }}
{{- if lt (get $ms "leaderElection.leaseDuration") 1000 }}
{{- fail (printf "leaderElection.leaseDuration is %s: a lease has whole seconds, so it must be 1s at least" (get $values "leaderElection.leaseDuration")) }}
{{- end }}
{{- end }}
{{- if lt (get $ms "controllers.maxRetryDelay") (get $ms "controllers.minRetryDelay") }}
{{- fail (printf "controllers.minRetryDelay is %s and controllers.maxRetryDelay %s: the first must not be longer" (get $values "controllers.minRetryDelay") (get $values "controllers.maxRetryDelay")) }}
{{- end }}
{{- if lt (get $ms "rbac.secrets.checkInterval") 100 }}
{{- fail (printf "rbac.secrets.checkInterval is %s: it must be 100ms at least" (get $values "rbac.secrets.checkInterval")) }}
{{- end }}
{{- end }}

{{/* What is kept in memory counts as the pod's: content that comes would end it. */}}
{{- define "ocm-operator.validateMemory" -}}
{{- $bytes := 0 }}
{{- $inMemory := list }}
{{- $folders := dict "temp.emptyDir" .Values.temp.emptyDir }}
{{- if and (include "ocm-operator.embedded" .) (not .Values.persistence.enabled) }}
{{- $_ := set $folders "persistence.emptyDir" .Values.persistence.emptyDir }}
{{- end }}
{{- range $name, $folder := $folders }}
{{- if eq $folder.medium "Memory" }}
{{- if not $folder.sizeLimit }}
{{- fail (printf "%s.medium is Memory without a sizeLimit: what it takes counts as the pod's memory; set %s.sizeLimit" $name $name) }}
{{- end }}
{{- $inMemory = append $inMemory (printf "%s.sizeLimit" $name) }}
{{- $bytes = add $bytes (include "ocm-operator.bytes" (dict "value" $folder.sizeLimit "name" (printf "%s.sizeLimit" $name)) | int64) }}
{{- end }}
{{- end }}
{{- $limit := dig "limits" "memory" "" (default dict .Values.resources) | toString }}
{{- if and $inMemory (regexMatch "^[0-9]+([kMGT]|[KMGT]i)?$" $limit) }}
{{- if ge (int64 $bytes) (include "ocm-operator.bytes" (dict "value" $limit "name" "resources.limits.memory") | int64) }}
{{- fail (printf "%s in memory: together %d bytes, and resources.limits.memory, which they count for, is %s: let them be less, or give the pod more" (join " and " $inMemory) (int64 $bytes) $limit) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ocm-operator.validateRegistry" -}}
{{- range $name, $value := omit .Values.externalRegistry "url" "provider" }}
{{- if $value }}
{{- fail (printf "externalRegistry.%s needs externalRegistry.url, as in oci://registry.example.com/snapshots/cluster-a" $name) }}
{{- end }}
{{- end }}
{{- if ne .Values.externalRegistry.provider "generic" }}
{{- fail "externalRegistry.provider needs externalRegistry.url, as in oci://registry.example.com/snapshots/cluster-a" }}
{{- end }}
{{- $tls := .Values.registry.tls }}
{{- if and (eq $tls.mode "existingSecret") (not $tls.existingSecret) }}
{{- fail "registry.tls.existingSecret must name the Secret with tls.crt, tls.key and ca.crt, as registry.tls.mode is existingSecret" }}
{{- end }}
{{- if and $tls.existingSecret (ne $tls.mode "existingSecret") }}
{{- fail (printf "registry.tls.existingSecret is not used with registry.tls.mode %s: set the mode to existingSecret, or drop the Secret" $tls.mode) }}
{{- end }}
{{- if and (eq $tls.mode "certManager") (not $tls.certManager.issuerRef.name) }}
{{- fail "registry.tls.certManager.issuerRef.name must name an issuer of cert-manager, as registry.tls.mode is certManager" }}
{{- end }}
{{- if and $tls.certManager.issuerRef.name (ne $tls.mode "certManager") }}
{{- fail (printf "registry.tls.certManager.issuerRef is not used with registry.tls.mode %s: set the mode to certManager, or drop the issuer" $tls.mode) }}
{{- end }}
{{- with .Values.registry }}
{{- if and .writerSecret (or (eq .writerSecret (include "ocm-operator.keySecret" $)) (eq .writerSecret (include "ocm-operator.certSecret" $))) }}
{{- fail (printf "registry.writerSecret %q holds something else of the registry: choose another name" .writerSecret) }}
{{- end }}
{{- if eq (include "ocm-operator.keySecret" $) (include "ocm-operator.certSecret" $) }}
{{- fail (printf "registry.keySecret %q holds the certificates of the registry: choose another name" (include "ocm-operator.keySecret" $)) }}
{{- end }}
{{- if gt (.lowWaterMark | default 75 | int) (.highWaterMark | default 85 | int) }}
{{- fail (printf "registry.lowWaterMark is %d and registry.highWaterMark %d: the first must not be above the second" (.lowWaterMark | default 75 | int) (.highWaterMark | default 85 | int)) }}
{{- end }}
{{- end }}
{{- include "ocm-operator.validateRoom" . }}
{{- end }}

{{- define "ocm-operator.validateRoom" -}}
{{- $size := include "ocm-operator.registrySize" . }}
{{- if and $size (not .Values.persistence.enabled) .Values.persistence.emptyDir.sizeLimit }}
{{- $limit := include "ocm-operator.bytes" (dict "value" .Values.persistence.emptyDir.sizeLimit "name" "persistence.emptyDir.sizeLimit") }}
{{- if eq (int64 $size) 0 }}
{{- fail (printf "registry.maxSize is 0, which is the whole disk, and persistence.emptyDir.sizeLimit %s bytes: the pod would be evicted; drop one of them" $limit) }}
{{- end }}
{{- if ge (int64 $size) (int64 $limit) }}
{{- fail (printf "registry.maxSize is %s bytes, and persistence.emptyDir.sizeLimit, which the index is in as well, %s: the pod would be evicted; let the second be larger" $size $limit) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ocm-operator.validateExternal" -}}
{{- $registry := .Values.registry }}
{{- range $name, $set := dict
      "registry.address" $registry.address
      "registry.maxSize" $registry.maxSize
      "registry.highWaterMark" $registry.highWaterMark
      "registry.lowWaterMark" $registry.lowWaterMark
      "registry.maxBlobSize" $registry.maxBlobSize
      "registry.scrubInterval" $registry.scrubInterval
      "registry.anonymousPull" $registry.anonymousPull
      "registry.writerSecret" $registry.writerSecret
      "registry.tls.existingSecret" $registry.tls.existingSecret
      "registry.tls.certManager.issuerRef.name" $registry.tls.certManager.issuerRef.name
      "registry.tls.mode" (ne $registry.tls.mode "selfSigned")
      "registry.service.type" (ne $registry.service.type "ClusterIP")
      "registry.keySecret" $registry.keySecret
      "persistence.enabled" .Values.persistence.enabled
      "externalArtifacts.enabled" .Values.externalArtifacts.enabled }}
{{- if $set }}
{{- fail (printf "%s is for the registry in the operator only, which externalRegistry.url is in place of: drop one or the other" $name) }}
{{- end }}
{{- end }}
{{- /*
Helm 3 and 4 both wait until the definitions are gone before they run hooks of after the deletion. The definitions wait for their
Snapshots, and these for the hook that takes their finalizers (uninstall.yaml). A hook of before the deletion would have to stop the
operator first, so it would need the right to do that, and would do it when it is applied as a manifest like others.
*/}}
{{- if and .Values.crds.enabled (not .Values.crds.keep) }}
{{- fail "crds.keep=false with externalRegistry.url: uninstalling would wait for Snapshots that only the operator lets go of; leave crds.keep, and delete the definitions afterwards" }}
{{- end }}
{{- with .Values.externalRegistry }}
{{- if not (hasPrefix "oci://" .url) }}
{{- fail "externalRegistry.url must begin with oci://, as in oci://registry.example.com/snapshots/cluster-a" }}
{{- end }}
{{- if contains "@" .url }}
{{- fail "externalRegistry.url must not hold credentials or a digest: everybody can read it; use externalRegistry.secretName" }}
{{- end }}
{{- if and .plainHTTP .certSecretName }}
{{- fail "externalRegistry.certSecretName is of no use with externalRegistry.plainHTTP: drop one of them" }}
{{- end }}
{{- if and .plainHTTP (ne .provider "generic") }}
{{- fail (printf "externalRegistry.plainHTTP would show the token of provider %s to everybody on the way: drop one of them" .provider) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ocm-operator.validateNetwork" -}}
{{- $service := .Values.registry.service }}
{{- range $name := list "nodePort" "externalTrafficPolicy" }}
{{- if and (eq $service.type "ClusterIP") (get $service $name) }}
{{- fail (printf "registry.service.%s is not used with registry.service.type ClusterIP: set the type to NodePort or LoadBalancer, or drop it" $name) }}
{{- end }}
{{- end }}
{{- range $name := list "loadBalancerClass" "loadBalancerSourceRanges" }}
{{- if and (ne $service.type "LoadBalancer") (get $service $name) }}
{{- fail (printf "registry.service.%s is not used with registry.service.type %s: set the type to LoadBalancer, or drop it" $name $service.type) }}
{{- end }}
{{- end }}
{{- with .Values.networkPolicy }}
{{- if and .enabled .egress.enabled (not .egress.rules) }}
{{- fail "networkPolicy.egress.rules must allow the API server and the repositories of components: add rules, or set networkPolicy.egress.enabled=false" }}
{{- end }}
{{- end }}
{{- with .Values.monitoring }}
{{- if and .serviceMonitor.enabled (not (and $.Values.metrics.enabled $.Values.metrics.service.enabled)) }}
{{- fail "monitoring.serviceMonitor needs metrics.enabled and metrics.service.enabled: switch them on, or use monitoring.podMonitor" }}
{{- end }}
{{- if and .podMonitor.enabled (not $.Values.metrics.enabled) }}
{{- fail "monitoring.podMonitor needs metrics.enabled: switch it on" }}
{{- end }}
{{- if and .podMonitor.enabled .serviceMonitor.enabled }}
{{- fail "monitoring: a ServiceMonitor and a PodMonitor would count everything twice: switch off one of them" }}
{{- end }}
{{- end }}
{{- if and .Values.monitoring.prometheusRule.enabled (not .Values.metrics.enabled) }}
{{- fail "monitoring.prometheusRule needs metrics.enabled: switch it on" }}
{{- end }}
{{- end }}
