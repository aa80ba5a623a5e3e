package transfer

import (
	"context"
	"fmt"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// reader reads component versions for a verification.
type reader struct {
	repository *ocm.Repository
	known      map[string]*ocm.ComponentVersion
}

// Version implements verify.Source.
func (s *reader) Version(ctx context.Context, component, version string) (verify.Version, error) {
	if v := s.known[component+":"+version]; v != nil {
		return v, nil
	}
	return s.repository.Get(ctx, component, version)
}

// prove verifies the signatures at the source, and all that they cover. What was
// read before is what is proven, and what is copied.
func (r *run) prove(ctx context.Context) error {
	if len(r.options.Verify) == 0 || r.options.Pinned != nil {
		return nil
	}
	s := &reader{repository: r.source, known: map[string]*ocm.ComponentVersion{}}
	for _, n := range r.versions {
		s.known[n.name()] = n.found
	}
	root := r.versions[len(r.versions)-1].found
	_, err := verify.Verify(ctx, s, root, r.options.Verify, r.verifyOptions())
	return err
}

func (r *run) verifyOptions() verify.Options {
	return verify.Options{
		Concurrency: r.options.Concurrency, MaxDepth: r.options.MaxDepth, MaxVersions: r.options.MaxVersions, Now: r.options.Now(),
		Progress: func(verify.Progress) { r.progress.step() },
	}
}

// confirm reads back what was written.
func (r *run) confirm(ctx context.Context) error {
	r.progress.set(func(p *Progress) { p.Phase = Verifying; p.Steps++ })
	for _, n := range r.versions {
		there, err := r.target.GetPinned(ctx, n.component, n.version, n.target)
		if err != nil {
			return fmt.Errorf("read back: %w", err)
		}
		if err := unchanged(n.found.Descriptor(), there.Descriptor()); err != nil {
			return fmt.Errorf("read back: %w", err)
		}
		r.progress.step()
	}
	return nil
}
