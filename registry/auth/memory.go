package auth

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// memory remembers answers for a while, the most useful ones, and lets those who want to know the same at the same time wait
// for one answer. Refusals have a place of their own: however many there are, they take nothing from those who are allowed.
type memory[V any] struct {
	now     func() time.Time
	timeout time.Duration
	flights singleflight.Group

	mu                sync.Mutex
	answers, refusals *recent[memoryKey, answer[V]]
}

// memoryKey is a digest: secrets are not kept.
type memoryKey [sha256.Size]byte

type answer[V any] struct {
	value V
	until time.Time
	// refused tells which place it has.
	refused bool
}

func newMemory[V any](most int, timeout time.Duration, now func() time.Time) *memory[V] {
	return &memory[V]{now: now, timeout: timeout, answers: newRecent[memoryKey, answer[V]](most), refusals: newRecent[memoryKey, answer[V]](most)}
}

// recall returns the last answer, and whether it is still good.
func (m *memory[V]) recall(key memoryKey) (last answer[V], good bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, found := m.answers.get(key)
	if !found {
		last, found = m.refusals.get(key)
	}
	return last, found && m.now().Before(last.until)
}

func (m *memory[V]) remember(key memoryKey, fresh answer[V]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	place, other := m.answers, m.refusals
	if fresh.refused {
		place, other = other, place
	}
	other.remove(key)
	place.put(key, fresh)
}

// ask returns the answer to a question; errors are not remembered. The question goes on for the others of the group when the
// one who asked first goes away.
func (m *memory[V]) ask(ctx context.Context, key memoryKey, group string, question func(context.Context) (answer[V], error)) (answer[V], error) {
	flight := m.flights.DoChan(string(key[:])+group, func() (any, error) {
		if known, good := m.recall(key); good {
			return known, nil // somebody was faster
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.timeout)
		defer cancel()
		fresh, err := question(ctx)
		if err == nil && m.now().Before(fresh.until) {
			m.remember(key, fresh)
		}
		return fresh, err
	})
	select {
	case result := <-flight:
		fresh, _ := result.Val.(answer[V])
		return fresh, result.Err
	case <-ctx.Done():
		return answer[V]{}, ctx.Err()
	}
}
