package adopttest

import (
	"strings"
	"testing"
)

// refusals are clusters that are not as expected, and what check and prepare say about them.
var refusals = map[string]struct {
	change func(c *cluster)
	want   string
}{
	"no right to definitions": {denied("patch " + definitions), "you may not patch " + definitions},
	"no right to secrets":     {denied("list secrets"), "you may not list secrets"},
	"no right to sources":     {denied("patch " + oci), "you may not patch " + oci},
	"no right to kustomize":   {denied("patch " + kustomize), "you may not patch " + kustomize},
	"no right to scale":       {denied("patch deployments.apps"), "you may not patch deployments.apps"},
	"no right to pods":        {denied("list pods"), "you may not list pods"},
	"no right to Snapshots":   {denied("delete snapshots." + group), "you may not delete snapshots"},
	"nothing at all":          {func(c *cluster) { c.Objects = map[string][]object{} }, "there is nothing to adopt"},
	"kinds of those that came after": {func(c *cluster) {
		properties := object{"spec": object{"properties": object{"componentRef": object{"type": "object"}}}}
		set(c.named(definitions, "resources."+group), []any{object{"schema": object{"openAPIV3Schema": object{"properties": properties}}}}, "spec", "versions")
	}, "can't run beside them"},
	"definitions of a release": {func(c *cluster) {
		set(c.named(definitions, "snapshots."+group), object{"meta.helm.sh/release-name": "ocm", "meta.helm.sh/release-namespace": "x"}, "metadata", "annotations")
	}, "snapshots." + group + " belongs to the Helm release x/ocm"},
	"definitions of a Kustomization": {func(c *cluster) {
		set(c.named(definitions, "snapshots."+group), object{"kustomize.toolkit.fluxcd.io/name": "podinfo", "kustomize.toolkit.fluxcd.io/namespace": "team"}, "metadata", "labels")
	}, "is kept by " + kustomize + " team/podinfo"},
	"controllers of a HelmRelease": {func(c *cluster) {
		set(c.named("deployments.apps", "git-controller"), object{"helm.toolkit.fluxcd.io/name": "git", "helm.toolkit.fluxcd.io/namespace": "team"}, "metadata", "labels")
	}, "git-controller is kept by " + helm + " team/git"},
	"object of somebody else": {func(c *cluster) {
		delete(field[map[string]any](c.named(kustomize, "podinfo"), "metadata"), "ownerReferences")
	}, kustomize + " team/podinfo was not made for the FluxDeployer"},
	"object that goes": {func(c *cluster) {
		set(c.named(oci, "held"), "2026-01-01T00:00:00Z", "metadata", "deletionTimestamp")
	}, oci + " team/held is being deleted"},
	"namespace of a release": {func(c *cluster) {
		c.Objects["namespaces"] = []object{{"metadata": object{"name": newNamespace, "annotations": object{"meta.helm.sh/release-name": "old"}}}}
	}, "belongs to the Helm release old"},
	"namespace of the old registry": {func(c *cluster) {
		set(c.named("secrets", "ocm-registry-tls-certs"), newNamespace, "metadata", "namespace")
	}, "has the Secret ocm-registry-tls-certs of the old registry"},
}

func denied(right string) func(c *cluster) {
	return func(c *cluster) { c.Denied = []string{right} }
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, verb := range []string{"check", "prepare"} {
				newWorld(t, tc.change).refuses(tc.want, verb)
			}
		})
	}
}

// TestCheck wants a warning to be no success, and nothing to be changed.
func TestCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if out := w.mustAdopt("check"); !strings.Contains(out, "as expected") {
		t.Errorf("check says %s", out)
	}
	w.then(func(c *cluster) {
		set(c.named("resources."+group, "manifests"), []any{"example.com/mine"}, "metadata", "finalizers")
	})
	w.refuses("Resource team/manifests has example.com/mine", "check")
}

func TestFinishRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		changes []func(c *cluster)
		want    string
	}{
		"nothing was prepared":      {nil, "run hack/adopt.sh prepare first"},
		"operator is not installed": {[]func(c *cluster){handedOver}, "run helm install first"},
		"old controllers run": {[]func(c *cluster){handedOver, operator, func(c *cluster) {
			set(c.named("deployments.apps", "git-controller"), 1.0, "spec", "replicas")
		}}, "git-controller has 1 replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newWorld(t, tc.changes...).refuses(tc.want, "finish")
		})
	}
}

// TestUndoRefuses wants the old controllers not to start while the operator, or one pod of it, is there.
func TestUndoRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(c *cluster)
		args   []string
		want   string
	}{
		"operator runs": {operator, nil, "(Deployment/ocm-operator Pod/ocm-operator-1)"},
		"pod still ends": {func(c *cluster) {
			operator(c)
			deployments := c.Objects["deployments.apps"]
			c.Objects["deployments.apps"] = deployments[:len(deployments)-1]
		}, nil, "(Pod/ocm-operator-1)"},
		"another namespace": {operator, []string{"--namespace", "elsewhere"}, "belong to the Helm release " + newNamespace + "/ocm-operator"},
		"another release":   {operator, []string{"--release=other"}, "belong to the Helm release " + newNamespace + "/ocm-operator"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newWorld(t, handedOver, tc.change).refuses(tc.want, append(tc.args, "undo")...)
		})
	}
}

// TestInVain wants the script to end when nothing happens, to say what is missing, and not to go on behind that.
func TestInVain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		changes   []func(c *cluster)
		verb      string
		want, not string
	}{
		"pods stay":  {[]func(c *cluster){func(c *cluster) { c.Stuck = true }}, "prepare", "Pod ocm-system/git-controller-1 of git-controller is still there", "patch " + oci},
		"not taken":  {[]func(c *cluster){handedOver, operator, without("managedFields")}, "finish", "podinfo is not taken over by the operator", "delete"},
		"not ready":  {[]func(c *cluster){handedOver, operator, notReady}, "finish", `team/podinfo: Failed: "no such digest"`, "delete"},
		"no owner":   {[]func(c *cluster){handedOver, operator, withoutDeployers}, "finish", "its FluxDeployer is gone", "delete"},
		"finalizers": {[]func(c *cluster){handedOver, operator, resumed, func(c *cluster) { c.Stuck = true }}, "finish", "Snapshot team/old is still being deleted", "patch snapshots"},
		"no other one": {[]func(c *cluster){handedOver, operator, resumed, func(c *cluster) {
			set(c.named("resources."+group, "manifests"), "old", "status", "snapshotName")
		}}, "finish", "Snapshot team/old stays: Resource team/manifests has no other one yet", "delete"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.changes...)
			code, out, problems := w.adopt(tc.verb, "--timeout=0")
			if code != 1 || !strings.Contains(problems, tc.want) || strings.Contains(out, "--- done") || strings.Contains(out, "now install") {
				t.Errorf("it ends with %d, want 1 and %q: %s%s", code, tc.want, out, problems)
			}
			for _, change := range w.changes() {
				if strings.Contains(change, tc.not) {
					t.Errorf("it has gone on: %s", change)
				}
			}
		})
	}
}

func without(name string) func(c *cluster) {
	return func(c *cluster) { delete(field[map[string]any](c.named(kustomize, "podinfo"), "metadata"), name) }
}

// resumed is what finish does first.
func resumed(c *cluster) {
	for resource, names := range map[string][]string{oci: {"podinfo", "held"}, kustomize: {"podinfo"}} {
		for _, name := range names {
			delete(field[map[string]any](c.named(resource, name), "spec"), "suspend")
			delete(field[map[string]any](c.named(resource, name), "metadata", "annotations"), mark)
		}
	}
}

func notReady(c *cluster) {
	resumed(c)
	set(c.named(oci, "podinfo"), []any{object{"type": "Ready", "status": "False", "reason": "Failed", "message": "no such digest"}}, "status", "conditions")
}

func withoutDeployers(c *cluster) { c.Objects["fluxdeployers."+group] = nil }
