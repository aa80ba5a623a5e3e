{{/*
The rules of the operator. files/rbac has those of each feature and of each option, made from the code; a feature that is
off, and an option that is off, has none.
*/}}

{{/* Names of the files that count with these values, as a list in JSON. */}}
{{- define "ocm-operator.rbac.parts" -}}
{{- $v := .Values -}}
{{- $parts := list "operator" -}}
{{- range $name, $on := $v.features -}}
{{- if $on -}}{{- $parts = append $parts $name -}}{{- end -}}
{{- end -}}
{{- if $v.leaderElection.enabled -}}{{- $parts = append $parts "leader-election" -}}{{- end -}}
{{- if $v.externalRegistry.url -}}
{{- $parts = append $parts "external-registry" -}}
{{- else -}}
{{- $parts = append $parts "registry" -}}
{{- if $v.registry.tokenAuth.enabled -}}{{- $parts = append $parts "token-auth" -}}{{- end -}}
{{- if and $v.externalArtifacts.enabled $v.features.FluxDeployer -}}{{- $parts = append $parts "external-artifacts" -}}{{- end -}}
{{- end -}}
{{- if and $v.security.objectLevelWorkloadIdentity (or $v.features.ComponentVersion $v.features.ComponentSubscription) -}}
{{- $parts = append $parts "workload-identity" -}}
{{- end -}}
{{- if $v.rbac.secrets.watch -}}{{- $parts = append $parts "secrets-watch" -}}{{- end -}}
{{- toJson $parts -}}
{{- end -}}

{{/*
Names of objects that only the values know: in the files they are the flag that has them. A flag that is not set names nothing.
*/}}
{{- define "ocm-operator.rbac.names" -}}
{{- $v := .Values -}}
{{- $names := dict
  "--registry-cert-secret" (ternary "" (include "ocm-operator.certSecret" .) (eq $v.registry.tls.mode "off"))
  "--registry-key-secret" (include "ocm-operator.keySecret" .)
  "--leader-election-id" (include "ocm-operator.leaseName" .)
  "--registry-writer-secret" $v.registry.writerSecret
  "--snapshot-registry-secret" $v.externalRegistry.secretName
  "--snapshot-registry-pull-secret" $v.externalRegistry.pullSecretName
  "--snapshot-registry-cert-secret" $v.externalRegistry.certSecretName
-}}
{{- toJson $names -}}
{{- end -}}

{{/*
Rules as YAML, as they are in the files, with names in place of flags. It takes a dictionary: root, the context of the chart; kind, which
roles of the files are meant, ClusterRole or Role; scope, which of their rules: cluster, those of what is in no namespace, namespaced, the
others, or nothing, which is all; and parts, the names of the files, if not all that count.
*/}}
{{- define "ocm-operator.rbac.rules" -}}
{{- $root := .root -}}{{- $kind := .kind -}}{{- $scope := .scope | default "" -}}
{{- $clusterGroups := list "apiextensions.k8s.io" "authentication.k8s.io" "authorization.k8s.io" -}}
{{- $known := include "ocm-operator.rbac.names" $root | fromJson -}}
{{- $rules := list -}}
{{- range $part := .parts | default (include "ocm-operator.rbac.parts" $root | fromJsonArray) -}}
{{- range $text := splitList "\n---\n" ($root.Files.Get (printf "files/rbac/%s.yaml" $part)) -}}
{{- $role := fromYaml $text -}}
{{- if eq ($role.kind | default "") $kind -}}
{{- range $rule := $role.rules -}}
{{- $groups := list -}}
{{- range $group := $rule.apiGroups -}}
{{- if or (eq $scope "") (eq (has $group $clusterGroups) (eq $scope "cluster")) -}}{{- $groups = append $groups $group -}}{{- end -}}
{{- end -}}
{{- $names := list -}}
{{- range $name := $rule.resourceNames -}}
{{- if hasPrefix "--" $name -}}{{- $name = get $known $name -}}{{- end -}}
{{- if $name -}}{{- $names = append $names $name -}}{{- end -}}
{{- end -}}
{{- /* A rule that has lost all its names is dropped: without names it would be about everything. */ -}}
{{- if and $groups (or $names (not (hasKey $rule "resourceNames"))) -}}
{{- $rules = append $rules (dict "groups" $groups "names" $names "resources" $rule.resources "verbs" $rule.verbs) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range uniq $rules }}
- apiGroups: {{ toJson .groups }}
  resources: {{ toJson .resources }}
{{- with .names }}
  resourceNames: {{ toJson . }}
{{- end }}
  verbs: {{ toJson .verbs }}
{{- end }}
{{- end -}}
