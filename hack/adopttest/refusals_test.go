package adopttest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		version := object{"schema": object{"openAPIV3Schema": object{"properties": properties}}}
		set(c.named(definitions, "resources."+group), []any{version, version}, "spec", "versions")
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
	"controllers of an Application":          {keptByArgo(object{"automated": object{}}), "git-controller is kept by " + argo + " git,"},
	"controllers of an Application far away": {marked("git", "metadata", "labels", "argocd.argoproj.io/instance"), "git-controller is kept by " + argo + " git,"},
	"definitions of an Application of a namespace": {func(c *cluster) {
		keptByArgo(nil)(c)
		keptByArgo(object{"automated": object{"selfHeal": true}})(c)
		set(c.named(definitions, "snapshots."+group), "team_git:apiextensions.k8s.io/CustomResourceDefinition:/snapshots."+group, "metadata", "annotations", trackingID)
	}, "snapshots." + group + " is kept by " + argo + " team_git:"},
	"controllers elsewhere": {another("ocm", 1), "Deployment ocm/git-controller is not in the namespace " + oldNamespace},
	"no controllers":        {withoutControllers, "no Deployment in the namespace " + oldNamespace + " has the name of an old controller"},
	"finalizer of somebody": {foreignFinalizer, "Resource team/manifests has example.com/mine"},
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

// trackingID is how Argo CD marks what is of an Application.
const trackingID = "argocd.argoproj.io/tracking-id"

// marked marks the Deployment of an old controller.
func marked(value string, path ...string) func(c *cluster) {
	return func(c *cluster) { set(c.named("deployments.apps", "git-controller"), value, path...) }
}

// keptByArgo marks a Deployment as that of an Application that is synced as a policy says.
func keptByArgo(policy object) func(c *cluster) {
	return func(c *cluster) {
		c.define(argo)
		c.Objects[argo] = append(c.Objects[argo], object{"metadata": object{"name": "git", "namespace": "team"}, "spec": object{"syncPolicy": policy}})
		marked("git:apps/Deployment:ocm-system/git-controller", "metadata", "annotations", trackingID)(c)
	}
}

// another adds a Deployment that has the name of an old controller.
func another(namespace string, replicas float64) func(c *cluster) {
	return func(c *cluster) {
		c.Objects["deployments.apps"] = append(c.Objects["deployments.apps"], object{"kind": "Deployment", "metadata": object{"name": "git-controller", "namespace": namespace}, "spec": object{"replicas": replicas}})
	}
}

// moved has the old controllers in another namespace.
func moved(c *cluster) {
	for _, resource := range []string{"deployments.apps", "pods"} {
		for _, obj := range c.Objects[resource] {
			set(obj, "ocm", "metadata", "namespace")
		}
	}
}

func withoutControllers(c *cluster) {
	c.Objects["deployments.apps"], c.Objects["pods"] = nil, nil
}

func foreignFinalizer(c *cluster) {
	set(c.named("resources."+group, "manifests"), []any{"example.com/mine"}, "metadata", "finalizers")
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

// TestAccepted are clusters with which check and prepare go on, some when they are told to.
func TestAccepted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(c *cluster)
		args   []string
	}{
		"as left":                       {func(*cluster) {}, nil},
		"Application waits":             {keptByArgo(object{"syncOptions": []any{"A=true"}}), nil},
		"Application has no policy":     {keptByArgo(nil), nil},
		"Application is switched off":   {keptByArgo(object{"automated": object{"enabled": false, "selfHeal": true}}), nil},
		"controllers have another name": {withoutControllers, []string{"--no-old-controllers"}},
		"controllers are elsewhere":     {moved, []string{"--old-namespace=ocm"}},
		"something of the name":         {another("shop", 1), []string{"--other", "shop/ocm-controller", "--other=shop/git-controller"}},
		"others have ended":             {another("ocm", 0), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.change)
			if out := w.mustAdopt(append(tc.args, "check")...); !strings.HasSuffix(out, "as expected\n") {
				t.Errorf("check says %s", out)
			}
			w.mustAdopt(append(tc.args, "prepare")...)
			w.then(operator).mustAdopt(append(tc.args, "finish")...)
		})
	}
	w := newWorld(t, foreignFinalizer)
	w.mustAdopt("prepare", "--despite-warnings")
	if diff := cmp.Diff(newWorld(t, foreignFinalizer, handedOver).objects(), w.objects()); diff != "" {
		t.Errorf("after prepare (-want +got):\n%s", diff)
	}
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
		"old controllers run elsewhere": {[]func(c *cluster){handedOver, operator, another("ocm", 1)}, "Deployment ocm/git-controller is not in the namespace " + oldNamespace},
		"old controllers are not seen":  {[]func(c *cluster){handedOver, withoutControllers, operator}, "or by --no-old-controllers that there are none"},
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
		"other controllers": {moved, nil, ", which is not in the namespace " + oldNamespace},
		"no way back": {func(c *cluster) {
			set(c.named(definitions, "snapshots."+group), "true", "metadata", "annotations", group+"/adopt-finished")
		}, nil, "finish has deleted Snapshots"},
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
		"not taken":  {[]func(c *cluster){handedOver, operator, notTaken}, "finish", "podinfo is not taken over by the operator", "delete"},
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

func notTaken(c *cluster) {
	delete(field[map[string]any](c.named(kustomize, "podinfo"), "metadata", "annotations"), applied)
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
