package transfers

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

const (
	// atOnce is how long a verification, or a check, may take within a reconciliation.
	atOnce = time.Second
	// heartbeat is how often a verification, or a check, in the pool says that it goes on. Whether the registry still sends is noticed where it is
	// read from.
	heartbeat = 20 * time.Second
)

// Copy returns the job that copies a component version from one repository to another. Of those that write to one archive, one runs at
// a time. What it unpacks takes the room that all archives have together.
func Copy(key string, from, to *access.Repository, component, version string, options transfer.Options) Job {
	options.TempDir, options.Room = to.Temporary()
	return Job{
		Key: key, Hosts: []string{from.Host(), to.Host()}, Alone: to.Exclusive(),
		Run: func(ctx context.Context, report func(transfer.Progress)) (result *transfer.Result, err error) {
			options.Progress = report
			err = to.Write(ctx, func(ctx context.Context, target *ocm.Repository) error {
				result, err = transfer.Run(ctx, from.Repository, target, component, version, options)
				return err
			})
			return result, err
		},
	}
}

// Pinned returns what tells the digests of component versions to a copy, which reads nothing else then.
func Pinned(nodes []source.Node) func(component, version string) (digest.Digest, bool) {
	pins := map[[2]string]digest.Digest{}
	for _, n := range nodes {
		pins[[2]string{n.Component, n.Version}] = digest.Digest(n.ManifestDigest)
	}
	return func(component, version string) (digest.Digest, bool) {
		pin, ok := pins[[2]string{component, version}]
		return pin, ok
	}
}

// Verification returns the job that verifies a pinned component version where it is. What it proved is kept before it ends.
func Verification(key string, at *access.Repository, node source.Node, policy *access.Policy, keep func(*verify.Proof)) Job {
	return Job{
		Key: key, Hosts: []string{at.Host()},
		Run: func(ctx context.Context, report func(transfer.Progress)) (*transfer.Result, error) {
			beat := newBeat(transfer.Verifying, report)
			defer beat.end()
			proof, err := at.Verify(ctx, node, policy, beat.verified)
			keep(proof)
			return &transfer.Result{}, err
		},
	}
}

// VerifyAtOnce verifies a component version within a reconciliation, if that takes no more than a moment. Otherwise it is late: it is
// for the pool then, so that those who read from a slow registry keep nobody else waiting. What was proven until then is not proven
// again.
func VerifyAtOnce(ctx context.Context, at *access.Repository, node source.Node, policy *access.Policy) (proof *verify.Proof, late bool, err error) {
	short, cancel := context.WithTimeout(ctx, atOnce)
	defer cancel()
	proof, err = at.Verify(short, node, policy, nil)
	return proof, err != nil && short.Err() != nil && ctx.Err() == nil, err
}

// Check is the question whether a repository has all of a component version still.
type Check struct {
	At                 *access.Repository
	Component, Version string
	// Manifest is what the version was, and Options are what it was copied with.
	Manifest digest.Digest
	Options  transfer.Options
}

// AtOnce answers within a reconciliation, if that takes no more than a moment, as VerifyAtOnce does. Otherwise it is late.
func (q Check) AtOnce(ctx context.Context) (drift *transfer.Drift, late bool, err error) {
	short, cancel := context.WithTimeout(ctx, atOnce)
	defer cancel()
	drift, err = q.answer(short)
	return drift, err != nil && short.Err() != nil && ctx.Err() == nil, err
}

// Job returns the job that answers. What it found is kept before it ends, if it found out.
func (q Check) Job(key string, keep func(*transfer.Drift)) Job {
	return Job{
		Key: key, Hosts: []string{q.At.Host()},
		Run: func(ctx context.Context, report func(transfer.Progress)) (*transfer.Result, error) {
			beat := newBeat(transfer.Reading, report)
			defer beat.end()
			drift, err := q.answer(ctx)
			if err == nil {
				keep(drift)
			}
			return &transfer.Result{}, err
		},
	}
}

func (q Check) answer(ctx context.Context) (*transfer.Drift, error) {
	return transfer.Check(ctx, q.At.Repository, q.Component, q.Version, q.Manifest, q.Options)
}

// Stands tells whether another copy would meet a conflict again, because both sides have what they had. The source may be nil if
// that is known of it.
func Stands(ctx context.Context, conflict *transfer.ConflictError, from, to *access.Repository) bool {
	there, err := to.Resolve(ctx, conflict.Component, conflict.Version)
	if err != nil || there != conflict.Found {
		return false
	}
	if from == nil {
		return true
	}
	here, err := from.Resolve(ctx, conflict.Component, conflict.Version)
	return err == nil && here == conflict.Wanted
}
