package fluxdeployer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"
)

const (
	// probeName is the name of the object by which a controller of Flux is asked, and of the artifact that it refers to, which
	// doesn't exist: whatever the answer, nothing is ever applied.
	probeName = "ocm-operator-external-artifact-probe"
	// probePatience is how long a controller may take to answer, and probePoll how often it is looked.
	probePatience, probePoll = 30 * time.Second, 250 * time.Millisecond
	// probeLabel marks the object, so that it is found again when it was left behind.
	probeLabel = "delivery.ocm.software/probe"
	// askAgain is how long a refusal holds. An administrator who opens the gate restarts Flux, not us.
	askAgain = time.Hour
)

// verdict is what is known of a controller.
type verdict int

const (
	// unknown: it was not asked yet.
	unknown verdict = iota
	// open: it takes ExternalArtifacts.
	open
	// closed: it refuses them, or hasn't answered.
	closed
)

// answer is a verdict, why, and until when it holds.
type answer struct {
	verdict verdict
	why     string
	until   time.Time
	asking  bool
}

// gate knows which controllers of Flux take ExternalArtifacts. They do with a feature gate that is closed at first, and that
// nobody but they themselves can see. So each is asked when the first deployer wants to know, by an object that refers to
// an artifact that doesn't exist: one controller says that it is missing, the other that it may not be.
type gate struct {
	client client.Client
	live   client.Reader
	// namespace is where the controllers are asked.
	namespace string
	log       logr.Logger
	now       func() time.Time
	questions chan schema.GroupVersionKind

	mu      sync.Mutex
	answers map[schema.GroupVersionKind]answer
}

// What Flux gets as an artifact it gets by no OCIRepository any more. Without artifacts none is ever deleted.
//
// +kubebuilder:rbac:roleName=external-artifacts,groups=source.toolkit.fluxcd.io,resources=ocirepositories,verbs=delete
// +kubebuilder:rbac:roleName=external-artifacts,groups=source.toolkit.fluxcd.io,resources=externalartifacts,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:roleName=external-artifacts,groups=source.toolkit.fluxcd.io,resources=externalartifacts/status,verbs=patch
// +kubebuilder:rbac:roleName=external-artifacts,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=externalartifacts.source.toolkit.fluxcd.io,verbs=list;watch

func newGate(c client.Client, live client.Reader, namespace string, log logr.Logger) *gate {
	return &gate{
		client: c, live: live, namespace: namespace, log: log, now: time.Now,
		questions: make(chan schema.GroupVersionKind, 2), answers: map[schema.GroupVersionKind]answer{},
	}
}

// Start implements manager.Runnable: it asks the controllers, one after the other. Only the leader does.
func (g *gate) Start(ctx context.Context) error {
	for _, consumer := range []schema.GroupVersionKind{kustomizationKind, helmReleaseKind} {
		if err := g.cleanUp(ctx, consumer); err != nil && ctx.Err() == nil {
			g.log.Error(err, "Objects that Flux was asked by before may be left behind", "kind", consumer.Kind)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case consumer := <-g.questions:
			g.settle(ctx, consumer)
		}
	}
}

// cleanUp deletes what was left behind by one of us that was killed.
func (g *gate) cleanUp(ctx context.Context, consumer schema.GroupVersionKind) error {
	all := &unstructured.UnstructuredList{}
	all.SetGroupVersionKind(consumer)
	err := g.live.List(ctx, all, client.InNamespace(g.namespace), client.HasLabels{probeLabel})
	if apimeta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil
	}
	for i := range all.Items {
		err = errors.Join(err, client.IgnoreNotFound(g.client.Delete(ctx, &all.Items[i])))
	}
	return err
}

// ask returns what is known of the controller of a kind, and has it asked when that is nothing, or too old.
func (g *gate) ask(consumer schema.GroupVersionKind) (verdict, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.answers[consumer]
	stale := known.verdict == unknown || known.verdict == closed && g.now().After(known.until)
	if stale && !known.asking {
		select {
		case g.questions <- consumer:
			known.asking = true
			g.answers[consumer] = known
		default: // asked next time
		}
	}
	return known.verdict, known.why
}

// refused notes that a controller has refused an ExternalArtifact by now.
func (g *gate) refused(consumer schema.GroupVersionKind, why string) {
	g.note(consumer, answer{verdict: closed, why: why, until: g.now().Add(askAgain)})
}

func (g *gate) note(consumer schema.GroupVersionKind, a answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answers[consumer] = a
}

// settle asks the controller of a kind and notes the answer.
func (g *gate) settle(ctx context.Context, consumer schema.GroupVersionKind) {
	taken, why, err := g.probe(ctx, consumer)
	if ctx.Err() != nil {
		return
	}
	log := g.log.WithValues("kind", consumer.Kind)
	switch {
	case apimeta.IsNoMatchError(err):
		g.note(consumer, answer{}) // nobody has answered: whoever sees the kind served asks again
	case err != nil:
		log.Error(err, "Could not find out whether Flux takes ExternalArtifacts, it gets OCIRepositories")
		g.refused(consumer, err.Error())
	case taken:
		log.Info("Flux takes ExternalArtifacts")
		g.note(consumer, answer{verdict: open})
	default:
		log.Info("Flux takes no ExternalArtifacts, it gets OCIRepositories", "cause", why)
		g.refused(consumer, why)
	}
}

// probe asks the controller of a kind whether it takes ExternalArtifacts, and returns its words if not.
func (g *gate) probe(ctx context.Context, consumer schema.GroupVersionKind) (bool, string, error) {
	obj := probeObject(consumer, g.namespace)
	err := g.create(ctx, obj)
	switch {
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return false, err.Error(), nil // its schema is older than the feature
	case err != nil:
		return false, "", fmt.Errorf("create %s: %w", describe(obj), err)
	}
	defer func() {
		// Also when the process ends: the object is of no use to anybody.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probePatience)
		defer cancel()
		if err := client.IgnoreNotFound(g.client.Delete(ctx, obj)); err != nil {
			g.log.Error(err, "An object that Flux was asked by is left behind", "object", describe(obj))
		}
	}()
	var reason, message string
	err = wait.PollUntilContextTimeout(ctx, probePoll, probePatience, true, func(ctx context.Context) (bool, error) {
		found, err := read(ctx, g.live, consumer, client.ObjectKeyFromObject(obj))
		if err != nil || found == nil || found.GetUID() != obj.GetUID() {
			return false, err
		}
		var status string
		status, reason, message = readyOf(found)
		return status == "False" || status == "True", nil
	})
	if wait.Interrupted(err) {
		return false, "the controller has not answered within " + probePatience.String(), nil
	}
	if err != nil {
		return false, "", err
	}
	if gateClosed(reason, message) {
		return false, message, nil
	}
	return true, "", nil
}

// create creates the object. One that was left behind makes room first: what its status says may be of another day.
func (g *gate) create(ctx context.Context, obj *unstructured.Unstructured) error {
	wanted := obj.DeepCopy()
	var refused error
	err := wait.PollUntilContextTimeout(ctx, probePoll, probePatience, true, func(ctx context.Context) (bool, error) {
		wanted.DeepCopyInto(obj)
		refused = g.client.Create(ctx, obj, fieldOwner)
		if !apierrors.IsAlreadyExists(refused) {
			return true, refused
		}
		return false, client.IgnoreNotFound(g.client.Delete(ctx, wanted.DeepCopy()))
	})
	if wait.Interrupted(err) && refused != nil {
		return refused
	}
	return err
}

// probeObject is an object that asks for an artifact that doesn't exist.
func probeObject(consumer schema.GroupVersionKind, namespace string) *unstructured.Unstructured {
	reference := map[string]any{"kind": externalArtifactKind.Kind, "name": probeName}
	spec := map[string]any{"interval": askAgain.String(), "chartRef": reference}
	if consumer == kustomizationKind {
		spec = map[string]any{"interval": askAgain.String(), "prune": false, "sourceRef": reference}
	}
	obj := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	obj.SetGroupVersionKind(consumer)
	obj.SetNamespace(namespace)
	obj.SetName(probeName)
	obj.SetLabels(map[string]string{probeLabel: "external-artifacts"})
	return obj
}

// gateClosed tells the words of a controller whose feature gate is closed from any others about an artifact.
func gateClosed(reason, message string) bool {
	return reason == meta.FeatureGateDisabledReason || strings.Contains(message, "feature gate is disabled")
}
