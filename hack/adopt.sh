#!/usr/bin/env bash
# Moves a cluster from ocm-controller, and the replication and git controllers beside it, to this operator, without a restart of
# what runs there. docs/guides/migration.md says when to call what. It needs kubectl, and bash from 4.4 on.
set -euo pipefail

usage() {
  cat <<'END'
usage: hack/adopt.sh [options] check | prepare | finish | undo

  check     looks whether everything is as expected, and changes nothing
  prepare   ends the old controllers, holds back what Flux applies for FluxDeployers, and hands the definitions of the kinds to the Helm release
  finish    after `helm install`: waits until the operator has taken over, lets Flux go on, and removes old Snapshots
  undo      takes back what prepare has done: the old controllers and Flux go on; after `helm uninstall`, if the operator was installed already

  --dry-run               say what would be done, and do nothing
  --context NAME          of the kubeconfig
  --old-namespace NAME    where the old controllers are; default ocm-system
  --no-old-controllers    go on when none is found there: there are none, or they have other names and were ended by hand
  --other NAMESPACE/NAME  a Deployment that has the name of an old controller and is something else; may be said again for another one
  --release NAME          of Helm, of the operator; default ocm-operator
  --namespace NAME        where the operator is installed; default ocm-operator-system
  --timeout SECONDS       how long to wait for the next thing to happen; default 300
  --despite-warnings      let prepare go on when check warns

It ends with 0 when everything was seen to be as it says, with 1 when not, and with 2 when it is called in another way.
END
}

readonly group=delivery.ocm.software
# What the script writes onto objects: that it has suspended them, how many replicas they had, and who was said to manage them, which
# is unmanaged when that was nobody. No label is a single dash.
readonly mark=$group/adopt-suspended replicas=$group/adopt-replicas managed=$group/adopt-managed-by unmanaged=-
# And onto the definition of Snapshots, that it has begun to delete them.
readonly finished=$group/adopt-finished
# What the operator writes onto what it has taken over, and Helm onto what belongs to a release.
readonly applied=$group/applied-digest managed_by=app.kubernetes.io/managed-by
readonly kinds=({componentdescriptors,componentsubscriptions,componentversions,configurations,fluxdeployers,gitsyncs,localizations,resources,snapshots}".$group")
readonly controllers='ocm-controller replication-controller git-controller'
readonly sources=ocirepositories.source.toolkit.fluxcd.io
readonly kustomizations=kustomizations.kustomize.toolkit.fluxcd.io helmreleases=helmreleases.helm.toolkit.fluxcd.io
readonly applications=applications.argoproj.io
readonly tls_secret=ocm-registry-tls-certs

dry_run='' context=() old_namespace=ocm-system release=ocm-operator namespace=ocm-operator-system timeout=300 verb=''
none_expected='' others=() despite_warnings=''
while [ $# -gt 0 ]; do
  case $1 in
  --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
  esac
  case $1 in
  --dry-run) dry_run=yes ;;
  --context) context=(--context "${2:?--context needs a name}") && shift ;;
  --old-namespace) old_namespace=${2:?--old-namespace needs a name} && shift ;;
  --no-old-controllers) none_expected=yes ;;
  --other) others+=("${2:?--other needs NAMESPACE/NAME}") && shift ;;
  --despite-warnings) despite_warnings=yes ;;
  --release) release=${2:?--release needs a name} && shift ;;
  --namespace) namespace=${2:?--namespace needs a name} && shift ;;
  --timeout) timeout=${2:?--timeout needs a number} && shift ;;
  -h | --help) usage && exit 0 ;;
  check | prepare | finish | undo) verb=$1 ;;
  *) usage >&2 && exit 2 ;;
  esac
  shift
done
[ -n "$verb" ] || { usage >&2 && exit 2; }

say() { printf '%s\n' "$*"; }
# stop ends everything; complain remembers that something is not as it should be.
stop() { printf 'error: %s\n' "$*" >&2 && exit 1; }
complaints=0
complain() { printf 'warning: %s\n' "$*" >&2 && complaints=$((complaints + 1)); }

# Every request is made by ask or by change. Both end the script, from wherever they are called, when a request fails again and
# again: what could not be asked must not look like what is not there. So neither may be called in a subshell.
readonly attempts=5 pause=2
k() { "${KUBECTL:-kubectl}" "${context[@]}" --request-timeout=60s "$@" </dev/null; }
refused() { stop "kubectl $1 has failed $attempts times, see above. Look at the connection and at your rights, and run hack/adopt.sh $verb again: it goes on where it was"; }

# ask leaves in $answer what kubectl prints.
answer=''
ask() {
  local attempt
  for ((attempt = 1; ; attempt++)); do
    if answer=$(k "$@"); then
      return
    fi
    [ "$attempt" -lt "$attempts" ] || refused "$1 $2"
    sleep "$pause"
  done
}

# change is the only way by which anything is written. What it is called with can be done twice: an answer may get lost.
change() {
  local attempt
  if [ -n "$dry_run" ]; then
    say "would run: kubectl $*"
    return
  fi
  say "+ kubectl $*"
  for ((attempt = 1; ; attempt++)); do
    if k "$@" >/dev/null; then
      return
    fi
    [ "$attempt" -lt "$attempts" ] || refused "$*"
    sleep "$pause"
  done
}

# may ends the script when something is not allowed. kubectl fails for a "no" as it does without an answer.
may() {
  local attempt
  for ((attempt = 1; ; attempt++)); do
    answer=$(k auth can-i "$@" 2>&1) || true
    case ${answer##*$'\n'} in
    yes*) return ;;
    no | 'no - '*) stop "you may not $*" ;;
    esac
    printf '%s\n' "$answer" >&2
    [ "$attempt" -lt "$attempts" ] || refused "auth can-i $*"
    sleep "$pause"
  done
}

# What the cluster has, by "resource namespace/name" where it is about objects, and by name where it is about definitions.
declare -A helm manager managed_before keeper uid owner suspended marked deleted taken ready pulled count moving before selector elsewhere

annotation() { printf '{{with .metadata.annotations}}{{with index . "%s"}}{{.}}{{end}}{{end}}' "$1"; }
label() { printf '{{with .metadata.labels}}{{with index . "%s"}}{{.}}{{end}}{{end}}' "$1"; }
# keepers is how Flux and Argo CD mark what they have applied: by resource and object, each with a semicolon behind.
keepers() {
  printf '%s' "{{with .metadata.labels}}{{with index . \"kustomize.toolkit.fluxcd.io/name\"}}$kustomizations {{index \$o.metadata.labels \"kustomize.toolkit.fluxcd.io/namespace\"}}/{{.}};{{end}}{{with index . \"helm.toolkit.fluxcd.io/name\"}}$helmreleases {{index \$o.metadata.labels \"helm.toolkit.fluxcd.io/namespace\"}}/{{.}};{{end}}{{with index . \"argocd.argoproj.io/instance\"}}$applications {{.}};{{end}}{{end}}"
  # It begins with the name of the Application.
  printf '%s' "{{with .metadata.annotations}}{{with index . \"argocd.argoproj.io/tracking-id\"}}$applications {{.}};{{end}}{{end}}"
}

# list asks for what a template says of each object of a resource, $o, on a line.
list() {
  local resource=$1 template=$2
  shift 2
  # shellcheck disable=SC2016 # $o is of the template
  ask get "$resource" "$@" -o go-template='{{range $o := .items}}'"$template"'{{"\n"}}{{end}}'
}

# load_definitions reads which kinds there are, who keeps their definitions, and whether there is a way back.
began=''
load_definitions() {
  local name by label former begun kept fields
  helm=() manager=() managed_before=() began=''
  list customresourcedefinitions "{{.metadata.name}}|$(annotation meta.helm.sh/release-namespace)/$(annotation meta.helm.sh/release-name)|$(label $managed_by)|$(annotation $managed)|$(annotation $finished)|$(keepers)|{{range .spec.versions}}{{with .schema}}{{with .openAPIV3Schema}}{{with .properties}}{{with .spec}}{{with .properties}}{{if .componentRef}}theirs{{end}}{{end}}{{end}}{{end}}{{end}}{{end}}{{end}}"
  while IFS='|' read -r name by label former begun kept fields; do
    [ -n "$name" ] || continue
    helm[$name]=$by manager[$name]=$label managed_before[$name]=$former keeper[$name]=$kept began+=$begun
    # Each version says it.
    if [[ $name = "resources.$group" && $fields = theirs* ]]; then
      stop "$name is that of the controllers that came after ocm-controller; this operator can't run beside them, see docs/guides/migration.md"
    fi
  done <<<"$answer"
}
served() { [ -n "${helm[$1]:-}" ]; }

# present prints those of some resources that the cluster has, as kubectl wants them.
present() {
  local resource all=''
  for resource in "$@"; do
    ! served "$resource" || all+=",$resource"
  done
  printf '%s' "${all#,}"
}

# load_flux reads FluxDeployers and what was made for them, into what is said above. One request asks for all, as a kubectl takes
# longer to start than to answer.
load_flux() {
  local resources key kind key_uid key_owner key_suspended key_marked key_deleted key_taken key_pulled key_ready
  uid=()
  resources=$(present "fluxdeployers.$group" "$sources" "$kustomizations" "$helmreleases")
  [ -n "$resources" ] || return 0
  # shellcheck disable=SC2016 # $o and the others are of the template
  list "$resources" '{{.kind}}|{{.metadata.namespace}}/{{.metadata.name}}|{{.metadata.uid}}|{{range .metadata.ownerReferences}}{{if eq .kind "FluxDeployer"}}{{.uid}}{{end}}{{end}}|{{with .spec.suspend}}{{.}}{{end}}|'"$(annotation $mark)"'|{{with .metadata.deletionTimestamp}}{{.}}{{end}}|'"$(annotation $applied)"'|{{with .spec.url}}{{.}}{{end}}{{with .spec.ref}}{{with .digest}}@{{.}}{{end}}{{with .tag}}:{{.}}{{end}}{{end}}|{{$g := .metadata.generation}}{{with .status}}{{$s := .observedGeneration}}{{range .conditions}}{{if eq .type "Ready"}}{{if eq .status "True"}}{{if eq $s $g}}True{{else}}not looked at yet{{end}}{{else}}{{printf "%s: %q" .reason .message}}{{end}}{{end}}{{end}}{{end}}' -A
  while IFS='|' read -r kind key key_uid key_owner key_suspended key_marked key_deleted key_taken key_pulled key_ready; do
    case $kind in
    FluxDeployer) key="fluxdeployers.$group $key" ;;
    OCIRepository) key="$sources $key" ;;
    Kustomization) key="$kustomizations $key" ;;
    HelmRelease) key="$helmreleases $key" ;;
    *) continue ;;
    esac
    uid[$key]=$key_uid owner[$key]=$key_owner suspended[$key]=$key_suspended marked[$key]=$key_marked deleted[$key]=$key_deleted
    taken[$key]=$key_taken pulled[$key]=$key_pulled ready[$key]=$key_ready
  done <<<"$answer"
}
exists() { [ -n "${uid["$1 $2"]:-}" ]; }
# names prints namespace and name of what was loaded of a resource.
names() {
  local key
  for key in "${!uid[@]}"; do
    [ "${key%% *}" != "$1" ] || printf '%s\n' "${key#* }"
  done | sort
}
# load_controllers reads the Deployments of the old controllers, and of those that may be some in other namespaces the ones that run
# or were ended by the script. Selectors are kept: they choose the pods also when a Deployment is gone.
load_controllers() {
  local place name wanted generation observed running recorded chosen kept
  count=() moving=() before=() elsewhere=()
  # shellcheck disable=SC2016 # $k and the others are of the template
  list deployments.apps '{{.metadata.namespace}}|{{.metadata.name}}|{{.spec.replicas}}|{{.metadata.generation}}|{{with .status}}{{with .observedGeneration}}{{.}}{{end}}|{{with .replicas}}{{.}}{{end}}{{else}}|{{end}}|'"$(annotation $replicas)"'|{{with .spec.selector}}{{range $k, $v := .matchLabels}}{{$k}}={{$v}},{{end}}{{range .matchExpressions}}{{if eq .operator "Exists"}}{{.key}},{{else if eq .operator "DoesNotExist"}}!{{.key}},{{else}}{{.key}} {{if eq .operator "In"}}in{{else}}notin{{end}} ({{range $i, $v := .values}}{{if $i}},{{end}}{{$v}}{{end}}),{{end}}{{end}}{{end}}|'"$(keepers)" -A
  while IFS='|' read -r place name wanted generation observed running recorded chosen kept; do
    [[ " $controllers " = *" $name "* && " ${others[*]} " != *" $place/$name "* ]] || continue
    if [ "$place" != "$old_namespace" ]; then
      [ "$wanted$recorded" = 0 ] || elsewhere[$place/$name]=$recorded
      continue
    fi
    count[$name]=$wanted before[$name]=$recorded keeper[$name]=$kept selector[$name]=${chosen%,} moving[$name]=$running
    [ "$generation" = "$observed" ] || moving[$name]='not looked at yet'
  done <<<"$answer"
}

# load_applications reads whether Argo CD syncs its Applications by itself: one that waits to be told is as good as suspended. A mark
# may have the namespace of the Application before its name. Where Argo CD keeps nothing, nobody needs a right to look.
load_applications() {
  local place name automated key
  [[ "${keeper[*]}" = *"$applications "* ]] || return 0
  served "$applications" || return 0
  # shellcheck disable=SC2016 # $k and $v are of the template
  list "$applications" '{{.metadata.namespace}}|{{.metadata.name}}|{{with .spec.syncPolicy}}{{range $k, $v := .}}{{if eq $k "automated"}}{{$v}}{{end}}{{end}}{{end}}' -A
  while IFS='|' read -r place name automated; do
    for key in "$applications $name" "$applications ${place}_$name"; do
      case $automated in
      '' | *enabled:false*) suspended[$key]=${suspended[$key]-true} ;;
      *) suspended[$key]='' ;;
      esac
    done
  done <<<"$answer"
}

# load_workload finds what runs of the operator, by the labels of the chart. A pod that has ended does nothing any more.
workload=()
load_workload() {
  local one
  list deployments.apps,statefulsets.apps,pods '{{if ne .kind "Pod"}}{{.kind}}/{{.metadata.name}}{{else if and (ne .status.phase "Succeeded") (ne .status.phase "Failed")}}{{.kind}}/{{.metadata.name}}{{end}}' -n "$namespace" -l "app.kubernetes.io/instance=$release,app.kubernetes.io/component=operator"
  workload=()
  while read -r one; do
    [ -z "$one" ] || workload+=("$one")
  done <<<"$answer"
}

# undone says who would undo what is done to something: a Kustomization or a HelmRelease of Flux that is not suspended, or an
# Application of Argo CD. That one may also be in another cluster, where nobody can look whether it is.
undone() {
  local by
  local -a all
  IFS=';' read -ra all <<<"${keeper[$1]:-}"
  for by in "${all[@]}"; do
    by=${by%%:*}
    [ "${suspended[$by]:-}" = true ] || { printf '%s' "$by" && return; }
  done
}

check() {
  local resource
  # What is read below is not asked for here.
  may patch customresourcedefinitions -A
  may list secrets -A
  load_definitions
  for resource in "$kustomizations" "$helmreleases" "$sources"; do
    served "$resource" || continue
    may patch "$resource" -A
  done
  may patch deployments.apps -n "$old_namespace"
  may list pods -n "$old_namespace"
  may delete "snapshots.$group" -A
  load_flux
  load_controllers
  load_applications
  check_definitions
  check_controllers
  check_deployers
  check_namespace
  check_finalizers
}

check_definitions() {
  local kind by
  served "componentversions.$group" || stop 'there is no definition of ComponentVersion: there is nothing to adopt, install the chart'
  for kind in "${kinds[@]}"; do
    by=${helm[$kind]:-/}
    case $by in
    / | "$namespace/$release") ;;
    *) stop "$kind belongs to the Helm release $by, whose removal would delete it with all its objects: see docs/guides/migration.md, \"What somebody keeps\"" ;;
    esac
    by=$(undone "$kind")
    [ -z "$by" ] || stop "$kind is kept by $by: suspend that first, and see docs/guides/migration.md, \"What somebody keeps\""
  done
}

# expect_controllers ends the script when the old controllers are not where they are said to be. One that nobody sees goes on, and
# writes the same objects as the operator.
expect_controllers() {
  local one
  for one in "${!elsewhere[@]}"; do
    stop "Deployment $one is not in the namespace $old_namespace: say where the old controllers are by --old-namespace, scale down what runs of them elsewhere, or say by --other $one that it is something else"
  done
  [ "${#count[@]}" -gt 0 ] || [ -n "$none_expected" ] || stop "no Deployment in the namespace $old_namespace has the name of an old controller ($controllers): say where they are by --old-namespace, or by --no-old-controllers that there are none in the cluster; those of other names have to be ended by hand"
}

check_controllers() {
  local name by
  expect_controllers
  for name in "${!count[@]}"; do
    by=$(undone "$name")
    [ -z "$by" ] || stop "Deployment $old_namespace/$name is kept by $by, which would start it again: suspend that first, and see docs/guides/migration.md, \"What somebody keeps\""
  done
}

# check_namespace refuses a namespace that goes with an old chart, or whose Secret the registry would take for its own.
check_namespace() {
  local by
  ask get namespace "$namespace" --ignore-not-found -o go-template="$(annotation meta.helm.sh/release-name)"
  by=$answer
  case $by in
  '' | "$release") ;;
  *) stop "namespace $namespace belongs to the Helm release $by and is deleted with it: choose another one by --namespace" ;;
  esac
  ask get secret "$tls_secret" -n "$namespace" --ignore-not-found -o go-template='{{if index .data "ca.key"}}{{else}}{{.metadata.name}}{{end}}'
  [ -z "$answer" ] || stop "namespace $namespace has the Secret $tls_secret of the old registry, which the registry of the operator would take for its own: choose another namespace by --namespace"
}

check_deployers() {
  local object resource key
  for object in $(names "fluxdeployers.$group"); do
    for resource in $kustomizations $helmreleases $sources; do
      exists "$resource" "$object" || continue
      key="$resource $object"
      [ "${owner[$key]}" = "${uid["fluxdeployers.$group $object"]}" ] || stop "$key was not made for the FluxDeployer of its name, which would refuse it: rename one of them, or see docs/guides/migration.md, \"Objects of others\""
      [ -z "${deleted[$key]}" ] || stop "$key is being deleted: wait until it is gone, or look at its finalizers"
    done
  done
}

# check_finalizers finds what nobody would take away from an object: the operator knows the finalizer of Snapshots.
check_finalizers() {
  local resources odd
  resources=$(present "${kinds[@]}")
  # shellcheck disable=SC2016 # $o is of the template
  list "$resources" '{{range .metadata.finalizers}}{{if and (ne . "finalizers.snapshot.ocm.software") (ne . "foregroundDeletion") (ne . "orphan")}} {{$o.kind}} {{$o.metadata.namespace}}/{{$o.metadata.name}} has {{.}};{{end}}{{end}}' -A
  odd=${answer//$'\n'/}
  [ -z "$odd" ] || complain "finalizers that neither the old controllers nor the operator take away:$odd"
}

prepare() {
  check
  local name object resource
  [ "$complaints" -eq 0 ] || [ -n "$despite_warnings" ] || stop 'nothing was changed: see the warnings, and run prepare with --despite-warnings if they are of no concern'
  say '--- old controllers end'
  for name in $controllers; do
    case ${count[$name]:-0} in
    0) ;;
    *) change -n "$old_namespace" patch deployment "$name" --type=merge -p "{\"metadata\":{\"annotations\":{\"$replicas\":\"${count[$name]}\"}},\"spec\":{\"replicas\":0}}" ;;
    esac
  done
  await 'the pods of the old controllers are gone' controllers_gone "see kubectl get pods -n $old_namespace, and run prepare again; or undo"
  load_flux # the old controllers may have made something until now
  check_deployers
  say '--- Flux holds back what it has deployed for FluxDeployers'
  for object in $(names "fluxdeployers.$group"); do
    for resource in $kustomizations $helmreleases $sources; do
      suspend "$resource" "$object"
    done
  done
  say "--- definitions go to the Helm release $release in namespace $namespace"
  for name in "${kinds[@]}"; do
    [ "${helm[$name]:-}" != / ] || hand_over "$name"
  done
  say "--- now install the chart: helm install $release charts/ocm-operator --namespace $namespace --create-namespace --wait (with Helm 4 also --force-conflicts)"
  say '    then: hack/adopt.sh finish, with the same options'
}

# controllers_gone looks for pods themselves: no status counts one that is about to end, and that still writes until then.
controllers_gone() {
  local name pod
  load_controllers
  for name in $controllers; do
    case ${moving[$name]:-} in
    '') ;;
    *) pending+=("Deployment $old_namespace/$name has replicas: ${moving[$name]}") ;;
    esac
    [ -n "${selector[$name]:-}" ] || continue
    list pods '{{if and (ne .status.phase "Succeeded") (ne .status.phase "Failed")}}{{.metadata.name}}{{end}}' -n "$old_namespace" -l "${selector[$name]}"
    while read -r pod; do
      [ -z "$pod" ] || pending+=("Pod $old_namespace/$pod of $name is still there")
    done <<<"$answer"
  done
}

# hand_over gives a definition to the Helm release, and hand_back takes it back from there.
hand_over() { change patch customresourcedefinition "$1" --type=merge -p "{\"metadata\":{\"labels\":{\"$managed_by\":\"Helm\"},\"annotations\":{\"$managed\":\"${manager[$1]:-$unmanaged}\",\"meta.helm.sh/release-name\":\"$release\",\"meta.helm.sh/release-namespace\":\"$namespace\"}}}"; }
hand_back() {
  local label="\"${managed_before[$1]}\""
  [ "${managed_before[$1]}" != "$unmanaged" ] || label=null
  change patch customresourcedefinition "$1" --type=merge -p "{\"metadata\":{\"labels\":{\"$managed_by\":$label},\"annotations\":{\"$managed\":null,\"meta.helm.sh/release-name\":null,\"meta.helm.sh/release-namespace\":null}}}"
}

suspend() {
  local key="$1 $2"
  exists "$1" "$2" || return 0
  if [ "${suspended[$key]}" = true ]; then
    [ -n "${marked[$key]}" ] || say "$key was suspended before, and stays so"
    return 0
  fi
  change -n "${2%/*}" patch "$1" "${2#*/}" --type=merge -p "{\"metadata\":{\"annotations\":{\"$mark\":\"true\"}},\"spec\":{\"suspend\":true}}"
}

# resume lets Flux go on, and forget lets the operator take over anew what it has taken over before.
resume() { change -n "${2%/*}" patch "$1" "${2#*/}" --type=merge -p "{\"metadata\":{\"annotations\":{\"$mark\":null}},\"spec\":{\"suspend\":null}}"; }
forget() { change -n "${2%/*}" patch "$1" "${2#*/}" --type=merge -p "{\"metadata\":{\"annotations\":{\"$applied\":null}}}"; }

# await looks again and again until a look finds nothing pending. It ends the script when nothing has happened for too long.
pending=() progress=''
await() {
  local what=$1 look=$2 advice=$3 since=$SECONDS one
  [ -z "$dry_run" ] || return 0
  while true; do
    pending=() progress=''
    "$look"
    [ "${#pending[@]}" -gt 0 ] || return 0
    if [ -n "$progress" ]; then
      since=$SECONDS
    elif [ $((SECONDS - since)) -ge "$timeout" ]; then
      for one in "${pending[@]}"; do
        complain "$one"
      done
      stop "waited ${timeout}s in vain until $what: $advice"
    fi
    sleep 1
  done
}

finish() {
  local name one
  load_definitions
  [ "${helm[fluxdeployers.$group]:-}" = "$namespace/$release" ] || stop 'the definitions are not handed over: run hack/adopt.sh prepare first, with the same options'
  load_workload
  [ "${#workload[@]}" -gt 0 ] || stop "the operator is not in the namespace $namespace: run helm install first"
  load_controllers
  expect_controllers
  for name in "${!count[@]}"; do
    [ "${count[$name]}" = 0 ] || stop "Deployment $old_namespace/$name has ${count[$name]} replicas, and both would write the same objects: run hack/adopt.sh prepare again"
  done
  say '--- the operator takes over, and Flux goes on'
  if [ -n "$dry_run" ]; then
    deployers_through
    for one in "${pending[@]}"; do
      say "would wait: $one"
    done
  fi
  # Snapshots of the old controllers are the way back for what is not through.
  await 'every FluxDeployer is through' deployers_through 'what runs stays as it is, and no Snapshot was deleted; repair what is said above, see kubectl get fluxdeployers -A, and run finish again'
  finish_snapshots
  leftovers
  [ "$complaints" -eq 0 ] || stop 'not everything is done: see the warnings, and run finish again'
  if [ -n "$dry_run" ]; then
    say '--- nothing was changed'
  else
    say '--- done'
  fi
}

# deployers_through goes one step further with every deployer.
deployers_through() {
  local object key
  load_flux
  for object in $(names "fluxdeployers.$group"); do
    let_go "$object"
  done
  for key in "${!uid[@]}"; do
    [ -z "${marked[$key]}" ] || exists "fluxdeployers.$group" "${key#* }" || pending+=("$key is suspended by prepare, and its FluxDeployer is gone: delete it, or take its annotation $mark and its spec.suspend away")
  done
}

# let_go lets Flux go on with what a deployer has made, the source first: what can't be pulled is not applied. What somebody else
# has suspended stays so.
let_go() {
  local key resource
  local -a keys=()
  for resource in "$sources" "$kustomizations" "$helmreleases"; do
    ! exists "$resource" "$1" || keys+=("$resource $1")
  done
  for key in "${keys[@]}"; do
    if [ -z "${taken[$key]}" ]; then
      pending+=("$key is not taken over by the operator")
      return 0
    fi
  done
  for key in "${keys[@]}"; do
    if [ -n "${marked[$key]}" ]; then
      [ -z "${pulled[$key]}" ] || say "$key is now ${pulled[$key]}"
      resume "${key%% *}" "$1"
      progress=yes
      [ -n "$dry_run" ] || pending+=("$key goes on again")
    elif [ "${suspended[$key]}" != true ] && [ "${ready[$key]}" != True ]; then
      pending+=("$key: ${ready[$key]:-not looked at yet}")
    else
      continue
    fi
    [ -n "$dry_run" ] || return 0
  done
}

# finish_snapshots deletes the Snapshots that the old controllers have made, once their owners have others.
finish_snapshots() {
  local object writer current resources
  local -A now=()
  say '--- Snapshots of the old controllers'
  answer=''
  resources=$(present "resources.$group" "localizations.$group" "configurations.$group")
  [ -z "$resources" ] || list "$resources" '{{.kind}} {{.metadata.namespace}}/{{.metadata.name}}|{{with .status}}{{with .snapshotName}}{{.}}{{end}}{{end}}' -A
  while IFS='|' read -r writer current; do
    [ -z "$writer" ] || now[$writer]=$current
  done <<<"$answer"
  # shellcheck disable=SC2016 # $o is of the template
  list "snapshots.$group" '{{if not .spec.manifestDigest}}{{if not .metadata.deletionTimestamp}}{{range .metadata.ownerReferences}}{{$o.metadata.namespace}}/{{$o.metadata.name}}|{{.kind}} {{$o.metadata.namespace}}/{{.name}}{{else}}{{$o.metadata.namespace}}/{{$o.metadata.name}}|{{end}}{{end}}{{end}}' -A
  while IFS='|' read -r object writer; do
    [ -n "$object" ] || continue
    if [ -z "$writer" ]; then
      say "Snapshot $object stays: it has no owner, so nobody has another one in its place"
      continue
    fi
    current=${now[$writer]:-}
    if [ -z "$current" ] || [ "$current" = "${object#*/}" ]; then
      complain "Snapshot $object stays: $writer has no other one yet"
      continue
    fi
    if [ -z "$began" ]; then
      change patch customresourcedefinition "snapshots.$group" --type=merge -p "{\"metadata\":{\"annotations\":{\"$finished\":\"true\"}}}"
      began=true
    fi
    change -n "${object%/*}" delete "snapshots.$group" "${object#*/}" --wait=false --ignore-not-found
  done <<<"$answer"
  await 'deleted Snapshots are gone' snapshots_gone "their finalizer is taken away by the operator; see its log, and run finish again"
}

snapshots_gone() {
  local object
  list "snapshots.$group" '{{if not .spec.manifestDigest}}{{with .metadata.deletionTimestamp}}{{$o.metadata.namespace}}/{{$o.metadata.name}}{{end}}{{end}}' -A
  while read -r object; do
    [ -z "$object" ] || pending+=("Snapshot $object is still being deleted")
  done <<<"$answer"
}

# leftovers tells what the operator doesn't use, and what nobody can do for its owner.
leftovers() {
  local resource name
  for resource in "syncs.$group" repositories.mpas.ocm.software; do
    served "$resource" || continue
    ask get "$resource" -A -o go-template='{{range .items}}{{.metadata.namespace}}/{{.metadata.name}} {{end}}'
    [ -z "$answer" ] || say "$resource are not served by the operator; docs/spec/v1alpha1/gitsync.md, \"From Sync and Repository\", says how to write them as GitSyncs: $answer"
  done
  ask get secrets -A --field-selector "metadata.name=$tls_secret" -o go-template='{{range .items}}{{if not (index .data "ca.key")}} {{.metadata.namespace}}{{end}}{{end}}'
  [ -z "$answer" ] || say "Secret $tls_secret is not needed by the operator; it is in the namespaces:$answer"
  for name in "${!count[@]}"; do
    say "Deployment $old_namespace/$name is scaled down; docs/guides/migration.md says how to remove it without its definitions"
  done
}

undo() {
  local name key by
  load_definitions
  [ -z "$began" ] || stop "finish has deleted Snapshots of the old controllers, so nothing can be as it was: see docs/guides/migration.md, \"Go back\""
  by=${helm[fluxdeployers.$group]:-/}
  case $by in
  / | "$namespace/$release") ;;
  *) stop "the definitions belong to the Helm release $by: say so by --namespace and --release" ;;
  esac
  load_workload
  [ "${#workload[@]}" -eq 0 ] || stop "the operator is still in the namespace $namespace (${workload[*]}), and both would write the same objects: run helm uninstall first, and wait until its pods are gone"
  load_controllers
  for name in "${!elsewhere[@]}"; do
    [ -z "${elsewhere[$name]}" ] || stop "prepare has scaled down Deployment $name, which is not in the namespace $old_namespace: say so by --old-namespace"
  done
  load_flux
  say '--- old controllers go on'
  for name in "${!count[@]}"; do
    [ -n "${before[$name]}" ] || continue
    change -n "$old_namespace" patch deployment "$name" --type=merge -p "{\"metadata\":{\"annotations\":{\"$replicas\":null}},\"spec\":{\"replicas\":${before[$name]}}}"
  done
  say '--- Flux goes on'
  for key in "${!uid[@]}"; do
    [ -z "${taken[$key]}" ] || forget "${key%% *}" "${key#* }"
    [ -z "${marked[$key]}" ] || resume "${key%% *}" "${key#* }"
  done
  say '--- definitions go back'
  for name in "${kinds[@]}"; do
    [ -z "${managed_before[$name]:-}" ] || hand_back "$name"
  done
}

"$verb"
if [ "$verb" = check ]; then
  [ "$complaints" -eq 0 ] || stop 'not everything is as expected: see the warnings'
  say 'as expected'
fi
