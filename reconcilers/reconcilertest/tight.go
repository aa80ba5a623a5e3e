package reconcilertest

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/ocm-operator/ocm-operator/snapshot"
)

// Tight is a store that can be full.
type Tight struct {
	snapshot.Store

	// Full says that there is no room now.
	Full atomic.Bool
}

// Repository implements snapshot.Store.
func (s *Tight) Repository(name string) (snapshot.Repository, error) {
	r, err := s.Store.Repository(name)
	return &tightRepository{Repository: r, store: s}, err
}

type tightRepository struct {
	snapshot.Repository

	store *Tight
}

// Stage implements snapshot.Repository.
func (r *tightRepository) Stage(ctx context.Context) (snapshot.Stage, error) {
	s, err := r.Repository.Stage(ctx)
	return &tightStage{Stage: s, store: r.store}, err
}

type tightStage struct {
	snapshot.Stage

	store *Tight
}

// Write implements snapshot.Stage.
func (s *tightStage) Write(p []byte) (int, error) {
	if s.store.Full.Load() {
		return 0, fmt.Errorf("write upload: %w: %w", snapshot.ErrStorageFull, syscall.ENOSPC)
	}
	return s.Stage.Write(p)
}
