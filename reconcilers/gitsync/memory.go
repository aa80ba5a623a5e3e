package gitsync

import (
	"errors"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// memory is what was found out about the worlds of objects, so that an interval at which nothing has changed costs one request. It is
// only a memory: whoever begins without it finds the same again. The zero value is empty.
type memory struct {
	mu    sync.Mutex
	known map[types.NamespacedName]*memo
}

// memo is what is remembered of one object.
type memo struct {
	world   world
	finding finding
	// refused is why nothing can be done in that world, in place of the finding; nil if something can.
	refused error
	// settled is the time at which the content was first seen to be delivered while its pull request was open.
	settled time.Time
}

// recall returns what is known of a world.
func (m *memory) recall(key types.NamespacedName, w world) *finding {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.known[key]; known != nil && known.world == w && known.refused == nil {
		found := known.finding
		return &found
	}
	return nil
}

// remember keeps what was found out about a world in place of what was known.
func (m *memory) remember(key types.NamespacedName, w world, found *finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := &memo{world: w, finding: *found}
	if before := m.known[key]; before != nil && found.delivered {
		next.settled = before.settled
	}
	m.keep(key, next)
}

// keep is called with the lock held.
func (m *memory) keep(key types.NamespacedName, next *memo) {
	if m.known == nil {
		m.known = map[types.NamespacedName]*memo{}
	}
	m.known[key] = next
}

// refuse keeps a verdict that stands as long as a world does, so that its branches and the content are not read again to find the same.
func (m *memory) refuse(key types.NamespacedName, w world, err error) {
	verdict, ok := errors.AsType[*lifecycle.Verdict](err)
	if !ok || !slices.Contains([]string{v1alpha1.ForeignChangesReason, v1alpha1.InvalidContentReason}, verdict.Reason) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(key, &memo{world: w, refused: err})
}

// refusal returns the verdict on a world, or nil if there is none.
func (m *memory) refusal(key types.NamespacedName, w world) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.known[key]; known != nil && known.world == w {
		return known.refused
	}
	return nil
}

// settledSince returns when the content was first seen to be delivered, which is now if nobody has asked before.
func (m *memory) settledSince(key types.NamespacedName, now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.known[key]
	if known == nil {
		return now
	}
	if known.settled.IsZero() {
		known.settled = now
	}
	return known.settled
}

// said drops what is only needed to say something once.
func (m *memory) said(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.known[key]; known != nil {
		known.finding.report = nil
	}
}

func (m *memory) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, key)
}

// halt forgets an object that is gone, or looks at nothing. The pull request of one that is suspended is still there.
func (c *controller) halt(obj *v1alpha1.GitSync) {
	c.memory.forget(client.ObjectKeyFromObject(obj))
	c.lanes.forget(client.ObjectKeyFromObject(obj))
	if !obj.Spec.Suspend || !obj.DeletionTimestamp.IsZero() {
		c.metrics.forget(client.ObjectKeyFromObject(obj))
	}
}
