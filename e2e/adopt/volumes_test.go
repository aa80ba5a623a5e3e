package adopt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
)

// node is the name of the only node, and guided the namespace in which the guide installs the operator.
const node, guided = "e2e", "ocm-system"

// storage is what an administrator has: a class whose volumes can grow, and another one. Nobody makes volumes here.
const storage = `
apiVersion: v1
kind: Node
metadata: {name: e2e}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: growing}
provisioner: e2e.example.com/nobody
allowVolumeExpansion: true
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: other}
provisioner: e2e.example.com/nobody
`

const volume = `
apiVersion: v1
kind: PersistentVolume
metadata: {name: "${NAME}"}
spec:
  capacity: {storage: 100Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: "${CLASS}"
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: /e2e}
`

// TestMoreRoom does what the guide of the installation says about volumes, word for word: they get larger while the pods stay, and pods
// get volumes of another class, one after the other. What is real here are the API server, the controllers of Kubernetes, and Helm.
func TestMoreRoom(t *testing.T) {
	w := open(t, cluster.Options{ControllerManager: true})
	w.Apply(storage)
	for _, name := range []string{"growing-0", "growing-1", "other-0", "other-1"} {
		w.Apply(volume, "${NAME}", name, "${CLASS}", name[:len(name)-2])
	}
	w.meanwhile(w.runPods)
	grow, replace := w.guide()
	if out, err := w.helm("install", "ocm-operator", filepath.Join("charts", "ocm-operator"), "--namespace", guided, "--create-namespace", "--wait",
		"--set=replicaCount=2,persistence.enabled=true,persistence.size=20Gi,persistence.storageClass=growing"); err != nil {
		t.Fatalf("helm install: %v\n%s", err, out)
	}
	before := w.stateful("20Gi", "growing")
	if out, err := w.shell(from("helm upgrade", grow)); err == nil || !strings.Contains(out, "Forbidden: updates to statefulset spec") {
		t.Errorf("an upgrade alone: %v\n%s", err, out)
	}

	w.follow(grow)
	larger := w.stateful("40Gi", "growing")
	if larger.set == before.set || larger.revision != before.revision {
		t.Errorf("the StatefulSet is %v, and was %v: want another one of the same revision", larger, before)
	}
	if diff := cmp.Diff(before.members, larger.members); diff != "" {
		t.Errorf("pods or claims were made again (-before +after):\n%s", diff)
	}
	w.isAsked("40Gi")

	another := strings.Replace(grow, "persistence.size=40Gi", "persistence.storageClass=other", 1)
	w.follow(from("kubectl --namespace ocm-system delete", another))
	if diff := cmp.Diff(before.members, w.stateful("40Gi", "other").members); diff != "" {
		t.Errorf("pods or claims were made again (-before +after):\n%s", diff)
	}
	for _, ordinal := range []string{"0", "1"} {
		w.isReplaced(ordinal, strings.ReplaceAll(replace, "ocm-operator-0", "ocm-operator-"+ordinal))
	}
}

// guide returns the commands of the guide: those that make volumes larger, and those that replace one.
func (w *world) guide() (grow, replace string) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.root, "docs", "guides", "install.md"))
	if err != nil {
		w.t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n### More room\n")
	section, _, _ = strings.Cut(section, "\n## ")
	parts := strings.Split(section, "```")
	if len(parts) != 5 || !strings.HasPrefix(parts[1], "sh\n") || !strings.HasPrefix(parts[3], "sh\n") {
		w.t.Fatalf("the guide has other commands than two blocks for a shell:\n%s", section)
	}
	return strings.TrimPrefix(parts[1], "sh"), strings.TrimPrefix(parts[3], "sh")
}

// from returns the rest of some commands, from one on.
func from(command, commands string) string {
	_, rest, _ := strings.Cut(commands, command)
	return command + rest
}

// shell runs commands as somebody types them who has a clone.
func (w *world) shell(commands string) (string, error) {
	w.t.Helper()
	return w.run("bash", "-o", "errexit", "-o", "pipefail", "-o", "xtrace", "-c", "helm() { "+w.helmProgram()+" \"$@\"; }\n"+commands)
}

func (w *world) follow(commands string) {
	w.t.Helper()
	out, err := w.shell(commands)
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", commands, err, out)
	}
	w.t.Log(out)
}

// stateful is what there is of the operator: the StatefulSet, its revision, and its pods and claims by their names.
type stateful struct {
	set      types.UID
	revision string
	members  map[string]types.UID
}

// stateful waits until two pods are ready that belong to a StatefulSet whose volumes are of a size and a class.
func (w *world) stateful(size, class string) stateful {
	w.t.Helper()
	found := stateful{}
	w.Eventually("the StatefulSet is ready", func() error {
		set := &appsv1.StatefulSet{}
		if err := w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: guided, Name: "ocm-operator"}, set); err != nil {
			return err
		}
		claim := set.Spec.VolumeClaimTemplates[0].Spec
		if set.Status.ReadyReplicas != 2 || set.Status.CurrentReplicas != 2 || claim.Resources.Requests.Storage().String() != size || *claim.StorageClassName != class {
			return fmt.Errorf("volumes are %v, status is %+v", claim, set.Status)
		}
		var err error
		found.set, found.revision = set.UID, set.Status.UpdateRevision
		found.members, err = w.members(set)
		return err
	})
	return found
}

// members returns pods and claims. All pods have to belong to a StatefulSet, and nothing may be about to go.
func (w *world) members(set *appsv1.StatefulSet) (map[string]types.UID, error) {
	pods, claims, err := w.podsAndClaims(w.t.Context())
	if err != nil {
		return nil, err
	}
	all := map[string]types.UID{}
	for i := range pods {
		if owner := metav1.GetControllerOf(&pods[i]); owner == nil || owner.UID != set.UID || pods[i].DeletionTimestamp != nil {
			return nil, fmt.Errorf("pod %s belongs to %v, and is deleted at %v", pods[i].Name, owner, pods[i].DeletionTimestamp)
		}
		all[pods[i].Name] = pods[i].UID
	}
	for i := range claims {
		if claims[i].Status.Phase != corev1.ClaimBound || claims[i].DeletionTimestamp != nil {
			return nil, fmt.Errorf("claim %s is %s, and deleted at %v", claims[i].Name, claims[i].Status.Phase, claims[i].DeletionTimestamp)
		}
		all[claims[i].Name] = claims[i].UID
	}
	if len(all) != 4 {
		return nil, fmt.Errorf("there are %v, want two pods and two claims", all)
	}
	return all, nil
}

func (w *world) podsAndClaims(ctx context.Context) ([]corev1.Pod, []corev1.PersistentVolumeClaim, error) {
	pods, claims := &corev1.PodList{}, &corev1.PersistentVolumeClaimList{}
	err := errors.Join(w.Client.List(ctx, pods, client.InNamespace(guided)), w.Client.List(ctx, claims, client.InNamespace(guided)))
	return pods.Items, claims.Items, err
}

// isAsked wants the claims to ask for a size.
func (w *world) isAsked(size string) {
	w.t.Helper()
	_, claims, err := w.podsAndClaims(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range claims {
		if got := claims[i].Spec.Resources.Requests.Storage().String(); got != size {
			w.t.Errorf("claim %s asks for %s, want %s", claims[i].Name, got, size)
		}
	}
}

// isReplaced runs the commands for one pod, and wants that one to have a new claim of the other class, and its neighbour to stay.
func (w *world) isReplaced(ordinal, commands string) {
	w.t.Helper()
	before := w.stateful("40Gi", "other").members
	w.follow(commands)
	w.Eventually("the claim is replaced", func() error {
		claim := &corev1.PersistentVolumeClaim{}
		err := w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: guided, Name: "data-ocm-operator-" + ordinal}, claim)
		if err == nil && (*claim.Spec.StorageClassName != "other" || claim.Status.Phase != corev1.ClaimBound) {
			err = fmt.Errorf("it is of the class %s, and %s", *claim.Spec.StorageClassName, claim.Status.Phase)
		}
		return err
	})
	after := w.stateful("40Gi", "other").members
	for name, uid := range before {
		if (after[name] == uid) == strings.HasSuffix(name, "-"+ordinal) {
			w.t.Errorf("%s is %s, and was %s, after pod %s was to be replaced", name, after[name], uid, ordinal)
		}
	}
}

// runPods does what is seen of a node: pods get to it, run, are ready, and end when they are told to.
func (w *world) runPods(ctx context.Context) error {
	pods, _, err := w.podsAndClaims(ctx)
	for i := range pods {
		pod := &pods[i]
		switch {
		case pod.DeletionTimestamp != nil:
			err = errors.Join(err, w.Client.Delete(ctx, pod, client.GracePeriodSeconds(0)))
		case pod.Spec.NodeName == "":
			err = errors.Join(err, w.Client.SubResource("binding").Create(ctx, pod, &corev1.Binding{
				ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: node},
			}))
		case pod.Status.Phase != corev1.PodRunning:
			pod.Status.Phase = corev1.PodRunning
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
			err = errors.Join(err, w.Client.Status().Update(ctx, pod))
		}
	}
	return err
}
