package access

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/panics"
)

// Bounds of what a board keeps.
const (
	// answersKept is how long an answer is kept for nobody in particular.
	answersKept = 5 * time.Second
	// maxTopics, maxListeners and maxAnswerBytes bound how many questions are known, how many objects asked them, and how large
	// the answers are.
	maxTopics      = 4096
	maxListeners   = 32 << 10
	maxAnswerBytes = 16 << 20
)

const (
	// lateness is how much later than without sharing an object may get an answer.
	lateness = time.Second
	// grace is for how long an object is known that doesn't ask again, besides two of its intervals.
	grace = time.Minute
)

// reply is an answer of a repository.
type reply[V any] struct {
	value V
	// mark is the same for equal answers only.
	mark string
	size int
}

// question is one that was asked, with its answer.
type question[V any] struct {
	asked time.Time
	// waiting are the objects that will get the answer; who doesn't wait any longer may be among them.
	waiting map[name]struct{}
	// done is closed when the rest is set.
	done chan struct{}
	reply[V]
	err      error
	answered time.Time
}

// listener is an object that asks the same question again and again.
type listener struct {
	interval time.Duration
	// seen is when it asked last, asked when the question was asked whose answer it got, and mark what that was.
	seen, asked time.Time
	mark        string
	// late is set if that was somewhat old by then, so that waiting for the next time could be too long.
	late bool
	// woken is set from when it is woken to when it asks.
	woken bool
}

// gone is when an object is believed not to ask any more.
func (l *listener) gone() time.Time { return l.seen.Add(2*l.interval + grace) }

// topic is a question with all who ask it.
type topic[V any] struct {
	key string
	// pending is the last question without an answer, and kept the last one with an answer; both may be nil.
	pending, kept *question[V]
	listeners     map[name]*listener
	timer         *time.Timer
	// fires is when the timer does, and turn tells it from those before.
	fires   time.Time
	turn    int
	place   *list.Element
	dropped bool
}

// board lets those who ask the same share answers, and wakes them when there is another one. It is made by newBoard.
type board[V any] struct {
	metrics *boardMetrics
	// wake lets objects ask again.
	wake func(...name)

	maxTopics, maxListeners, maxBytes int

	mu     sync.Mutex
	topics map[string]*topic[V]
	// order holds the topics, the one that was asked for least recently first.
	order           *list.List
	listeners, size int
}

func newBoard[V any](metrics *boardMetrics, wake func(...name)) *board[V] {
	return &board[V]{
		metrics: metrics, wake: wake, maxTopics: maxTopics, maxListeners: maxListeners, maxBytes: maxAnswerBytes,
		topics: map[string]*topic[V]{}, order: list.New(),
	}
}

// ask returns an answer that is fresh enough, and asks if there is none. Errors are for those only who wait for the same
// answer.
func (b *board[V]) ask(ctx context.Context, key string, who name, f Freshness, ask func(context.Context) (reply[V], error)) (V, error) {
	if who == (name{}) {
		f = Freshness{Since: f.since()} // nobody can be woken
	}
	q, t := b.find(ctx, key, who, f, ask)
	if t == nil {
		return q.value, nil
	}
	select {
	case <-ctx.Done():
		var none V
		return none, context.Cause(ctx)
	case <-q.done:
	}
	if q.err == nil {
		b.mu.Lock()
		woken := b.heard(t, q, who, f)
		b.mu.Unlock()
		b.wake(woken...)
	}
	return q.value, q.err
}

// find returns a question whose answer will do, and its topic if the answer must be waited for.
func (b *board[V]) find(ctx context.Context, key string, who name, f Freshness, ask func(context.Context) (reply[V], error)) (*question[V], *topic[V]) {
	b.mu.Lock()
	var woken []name
	defer func() { b.mu.Unlock(); b.wake(woken...) }()
	t := b.touch(key)
	known := t.listeners[who]
	if known == nil && b.listeners >= b.maxListeners {
		f = Freshness{Since: f.since()}
	}
	if q := t.kept; q != nil && f.allows(q.asked, time.Now(), known) {
		b.metrics.shared.Inc()
		woken = b.heard(t, q, who, f)
		return q, nil
	}
	if t.pending == nil || t.pending.asked.Before(f.Since) {
		b.metrics.asked.Inc()
		t.pending = &question[V]{asked: time.Now(), waiting: map[name]struct{}{}, done: make(chan struct{})}
		go b.put(context.WithoutCancel(ctx), t, t.pending, ask)
	} else {
		b.metrics.shared.Inc()
	}
	t.pending.waiting[who] = struct{}{}
	woken = b.shrink()
	return t.pending, t
}

// allows tells whether the answer to a question may be used that was asked then. An object that looks again at its usual time
// doesn't get the answer that it has; before, as when a Secret has changed, it does.
func (f Freshness) allows(asked, now time.Time, known *listener) bool {
	if asked.Before(f.Since) {
		return false
	}
	age := now.Sub(asked)
	return f.Interval <= 0 || age < f.Interval && (known == nil || !known.asked.Equal(asked) || age < f.Interval/2)
}

// put asks a question. It outlives a caller that gives up, because others may wait for the answer, and runs on a goroutine
// that nothing recovers, so a panic must not end the process.
func (b *board[V]) put(ctx context.Context, t *topic[V], q *question[V], ask func(context.Context) (reply[V], error)) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	defer b.answered(t, q)
	defer panics.Recover(&q.err, "ask the repository")
	q.reply, q.err = ask(ctx)
}

// answered hands out an answer, and wakes those who have another one.
func (b *board[V]) answered(t *topic[V], q *question[V]) {
	b.mu.Lock()
	var woken []name
	defer func() { b.mu.Unlock(); b.wake(woken...) }()
	q.answered = time.Now()
	close(q.done)
	if t.pending == q {
		t.pending = nil
	}
	if q.err != nil || t.dropped || t.kept != nil && t.kept.asked.After(q.asked) {
		return
	}
	if t.kept != nil {
		b.size -= t.kept.size
	}
	t.kept = q
	b.size += q.size
	for who, l := range t.listeners {
		if _, waits := q.waiting[who]; waits || l.woken || l.mark == q.mark {
			continue
		}
		l.woken = true
		woken = append(woken, who)
	}
	b.metrics.news.Add(float64(len(woken)))
	q.waiting = nil
	b.arm(t, q.answered.Add(answersKept))
	woken = append(woken, b.shrink()...)
}

// heard notes that an object has an answer, so that it is told of the next one, and returns who must be told at once.
func (b *board[V]) heard(t *topic[V], q *question[V], who name, f Freshness) (woken []name) {
	if f.Interval <= 0 || t.dropped {
		return nil
	}
	l := t.listeners[who]
	if l == nil {
		if b.listeners >= b.maxListeners {
			return nil
		}
		l = &listener{}
		t.listeners[who] = l
		b.listeners++
	}
	now := time.Now()
	*l = listener{interval: f.Interval, seen: now, asked: q.asked, mark: q.mark, late: now.Sub(q.asked) > lateness}
	if t.kept != nil && t.kept.mark != q.mark && t.kept.asked.After(q.asked) {
		l.woken = true
		woken = append(woken, who)
		b.metrics.news.Inc()
	}
	if l.late {
		b.arm(t, b.due(t, l))
	}
	b.arm(t, l.gone())
	return woken
}

// due is when somebody must have asked again for an object that got a late answer.
func (b *board[V]) due(t *topic[V], l *listener) time.Time {
	asked := l.asked
	if t.kept != nil && t.kept.asked.After(asked) {
		asked = t.kept.asked // it is the same answer, else the object were woken
	}
	return asked.Add(l.interval)
}

// arm lets the timer of a topic fire at the given time or before.
func (b *board[V]) arm(t *topic[V], at time.Time) {
	if t.dropped || t.timer != nil && !at.Before(t.fires) {
		return
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	t.fires, t.turn = at, t.turn+1
	turn := t.turn
	t.timer = time.AfterFunc(time.Until(at), func() { b.fire(t, turn) })
}

// fire forgets who doesn't ask any more, and wakes one of the objects for which the question is due, because whoever would
// have asked it may be gone. If that one doesn't ask either, the next one follows.
func (b *board[V]) fire(t *topic[V], turn int) {
	b.mu.Lock()
	var woken []name
	defer func() { b.mu.Unlock(); b.wake(woken...) }()
	if t.dropped || t.turn != turn {
		return
	}
	t.timer = nil
	now := time.Now()
	first, next := b.sweep(t, now)
	if l := t.listeners[first]; l != nil && t.pending == nil {
		l.woken = true
		woken = append(woken, first)
		b.metrics.due.Inc()
	}
	switch {
	case len(t.listeners) > 0:
		b.arm(t, next)
	case t.pending != nil || t.kept != nil && now.Sub(t.kept.answered) < answersKept:
		b.arm(t, now.Add(answersKept))
	default:
		b.drop(t)
	}
}

// sweep forgets who doesn't ask any more. It returns for whom the question is due, if it is: the one that asked least recently;
// and when to look again.
func (b *board[V]) sweep(t *topic[V], now time.Time) (first name, next time.Time) {
	sooner := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for who, l := range t.listeners {
		if !now.Before(l.gone()) {
			delete(t.listeners, who)
			b.listeners--
			continue
		}
		sooner(l.gone())
		if !l.late || l.woken {
			continue
		}
		due := b.due(t, l)
		if due.After(now) {
			sooner(due)
			continue
		}
		sooner(now.Add(lateness))
		if chosen := t.listeners[first]; chosen == nil || l.seen.Before(chosen.seen) {
			first = who
		}
	}
	return first, next
}

// touch returns a topic, and makes it the one that was asked for last.
func (b *board[V]) touch(key string) *topic[V] {
	if t, ok := b.topics[key]; ok {
		b.order.MoveToBack(t.place)
		return t
	}
	t := &topic[V]{key: key, listeners: map[name]*listener{}}
	t.place = b.order.PushBack(t)
	b.topics[key] = t
	return t
}

// shrink forgets what is too much, and returns who must ask again because of that: nobody would wake them.
func (b *board[V]) shrink() []name {
	var woken []name
	for b.order.Len() > 1 && (len(b.topics) > b.maxTopics || b.size > b.maxBytes) {
		t, ok := b.order.Front().Value.(*topic[V])
		if !ok {
			panic(fmt.Sprintf("a board holds %T", b.order.Front().Value)) // only touch adds to it
		}
		for who, l := range t.listeners {
			if l.late && !l.woken {
				woken = append(woken, who)
			}
		}
		b.drop(t)
	}
	return woken
}

// drop forgets a topic. Who waits for an answer gets it nevertheless.
func (b *board[V]) drop(t *topic[V]) {
	t.dropped = true
	if t.timer != nil {
		t.timer.Stop()
	}
	if t.kept != nil {
		b.size -= t.kept.size
	}
	b.listeners -= len(t.listeners)
	clear(t.listeners)
	b.order.Remove(t.place)
	delete(b.topics, t.key)
}
