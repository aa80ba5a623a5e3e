package access

import (
	"sync"
	"time"

	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

const (
	// maxArrivals bounds how many objects an Arrivals remembers by name.
	maxArrivals = 16 << 10
	// shortAge is how old an answer may be that an object uses which waits for something to change, or when it can't be told of
	// a later one. It spans the moment in which many objects are due at once.
	shortAge = 2 * time.Second
)

// Freshness says how old an answer may be that an object uses.
type Freshness struct {
	// Since is when the question must have been asked at the earliest.
	Since time.Time
	// Interval is how often the object asks. It may use the answer to a question that was asked less than that ago, by whomever;
	// it is woken when there is another answer. Zero leaves it to Since alone, and the object isn't woken.
	Interval time.Duration
}

// Arrivals remember when the last change of each object of a kind was seen. Who creates an object, changes it or asks for a
// reconciliation may have published a version right before, and must get an answer to a question that was asked since. An
// object whose interval is over has no such claim, so all objects that ask the same share an answer.
type Arrivals struct {
	mu    sync.Mutex
	times *lru.Cache
	// forgotten is the latest of those that are not remembered.
	forgotten time.Time
}

// NewArrivals returns the arrivals of a kind, of which none was seen.
func NewArrivals() *Arrivals { return newArrivals(maxArrivals) }

func newArrivals(size int) *Arrivals {
	a := &Arrivals{}
	a.times = lru.NewWithEvictionFunc(size, func(_ lru.Key, value any) {
		if at, ok := value.(time.Time); ok && at.After(a.forgotten) {
			a.forgotten = at
		}
	})
	return a
}

// Predicate notes the events that pass it, and lets all of them pass. It stands behind those that drop what is no change.
func (a *Arrivals) Predicate() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return a.note(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return a.note(e.ObjectNew) },
	}
}

func (a *Arrivals) note(obj client.Object) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times.Add(client.ObjectKeyFromObject(obj), time.Now())
	return true
}

// Freshness returns how old an answer may be that an object uses which asks at each interval. One that is not settled, such as
// after a failure, waits for something to change, and gets answers that are as good as new.
func (a *Arrivals) Freshness(obj client.Object, interval time.Duration, settled bool) Freshness {
	since := a.last(obj)
	if settled && interval > 0 {
		return Freshness{Since: since, Interval: interval}
	}
	if since.IsZero() { // it may have changed right now
		return Freshness{Since: time.Now()}
	}
	const part = 10
	if soon := time.Now().Add(-min(shortAge, interval/part)); soon.After(since) {
		since = soon
	}
	return Freshness{Since: since}
}

// last returns when the last change of an object was seen, or the latest time at which that may have been.
func (a *Arrivals) last(obj client.Object) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at, ok := a.times.Get(client.ObjectKeyFromObject(obj)); ok {
		if seen, isTime := at.(time.Time); isTime {
			return seen
		}
	}
	return a.forgotten
}
