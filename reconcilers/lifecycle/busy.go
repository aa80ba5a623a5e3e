package lifecycle

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
)

// interrupted remembers which fault each object had reported when work began beside its steps. The work says how far it is in the
// same condition, and when it comes to the same fault once more, nothing new has happened.
type interrupted struct {
	mu     sync.Mutex
	faults map[types.NamespacedName]metav1.Condition
}

func newInterrupted() *interrupted {
	return &interrupted{faults: map[types.NamespacedName]metav1.Condition{}}
}

// note remembers the fault that an object reports, if it does.
func (i *interrupted) note(before Object) {
	fault := conditions.Get(before, meta.ReconcilingCondition)
	if fault == nil || fault.Reason != meta.ProgressingWithRetryReason {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.faults[client.ObjectKeyFromObject(before)] = *fault
}

// reported tells whether an object has come to the fault again that it had reported before.
func (i *interrupted) reported(obj Object) bool {
	now := conditions.Get(obj, meta.ReconcilingCondition)
	i.mu.Lock()
	defer i.mu.Unlock()
	fault, ok := i.faults[client.ObjectKeyFromObject(obj)]
	return ok && now != nil && now.Reason == fault.Reason && now.Message == fault.Message && now.ObservedGeneration == fault.ObservedGeneration
}

func (i *interrupted) forget(key types.NamespacedName) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.faults, key)
}
