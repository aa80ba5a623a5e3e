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
Rules as YAML. It takes a dictionary: root, the context of the chart; kind, which roles of the files are meant, ClusterRole or Role;
and scope, which of their rules: cluster, those of what is in no namespace, namespaced, the others, or nothing, which is all.
Rules of the same resources are joined, so that none is there twice.
*/}}
{{- define "ocm-operator.rbac.rules" -}}
{{- $root := .root -}}{{- $kind := .kind -}}{{- $scope := .scope | default "" -}}
{{- $clusterGroups := list "apiextensions.k8s.io" "authentication.k8s.io" "authorization.k8s.io" -}}
{{- $known := include "ocm-operator.rbac.names" $root | fromJson -}}
{{- $parts := include "ocm-operator.rbac.parts" $root | fromJsonArray -}}
{{- $verbs := dict -}}
{{- if .also -}}{{- $parts = list .also -}}{{- $kind = "ClusterRole" -}}{{- end -}}
{{- range $part := $parts -}}
{{- range $text := splitList "\n---\n" ($root.Files.Get (printf "files/rbac/%s.yaml" $part)) -}}
{{- $role := fromYaml $text -}}
{{- if eq ($role.kind | default "") $kind -}}
{{- range $rule := $role.rules -}}
{{- $names := list -}}
{{- range $name := $rule.resourceNames -}}
{{- if hasPrefix "--" $name -}}{{- $name = get $known $name -}}{{- end -}}
{{- if $name -}}{{- $names = append $names $name -}}{{- end -}}
{{- end -}}
{{- $named := hasKey $rule "resourceNames" -}}
{{- range $group := $rule.apiGroups -}}
{{- $cluster := has $group $clusterGroups -}}
{{- if and (or (not $named) $names) (or (eq $scope "") (eq $cluster (eq $scope "cluster"))) -}}
{{- range $resource := $rule.resources -}}
{{- range $name := ternary $names (list "") $named -}}
{{- $key := join "|" (list $group $resource $name) -}}
{{- $verbs = set $verbs $key (concat (get $verbs $key | default list) $rule.verbs | uniq | sortAlpha) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- /* The same verbs on several names of a resource are one rule, and on several resources of a group as well. */ -}}
{{- $byName := dict -}}
{{- range $key, $list := $verbs -}}
{{- $at := splitList "|" $key -}}
{{- $to := join "|" (list (index $at 0) (index $at 1) (join "," $list) (ternary "named" "" (ne (index $at 2) ""))) -}}
{{- $byName = set $byName $to (append (get $byName $to | default list) (index $at 2)) -}}
{{- end -}}
{{- $rules := dict -}}
{{- range $key, $names := $byName -}}
{{- $at := splitList "|" $key -}}
{{- $to := join "|" (list (index $at 0) (join "," (sortAlpha (compact $names))) (index $at 2)) -}}
{{- $rules = set $rules $to (append (get $rules $to | default list) (index $at 1)) -}}
{{- end -}}
{{- range $key, $resources := $rules }}
{{- $at := splitList "|" $key }}
- apiGroups: [{{ index $at 0 | quote }}]
  resources: [{{ sortAlpha $resources | join ", " }}]
{{- if index $at 1 }}
  resourceNames: {{ index $at 1 | splitList "," | toJson }}
{{- end }}
  verbs: [{{ index $at 2 | splitList "," | join ", " }}]
{{- end }}
{{- end -}}
