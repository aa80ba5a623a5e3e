// Package transfer copies component versions from one repository to another, with
// all they refer to, so that nothing that is signed changes.
//
// What is copied is decided before the first byte is sent. Contents come first,
// then what leads to them, tags last, so a reader at the target sees all of a
// component version or nothing of it. Nothing is kept between runs: one that was
// cut off is begun again, and finds at the target what is there already. The
// package doesn't sign, and knows nothing of who asks for the copy.
package transfer

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ctf"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// Resources says which resources are copied with their contents. Local blobs always
// are.
type Resources string

// Which resources are copied by value. The others stay where they are.
const (
	AllResources   Resources = ""
	LocalResources Resources = "Local"
	NoResources    Resources = "None"
)

// Artifacts says how OCI artifacts are kept at the target.
type Artifacts string

// Ways to keep OCI artifacts.
const (
	// AutoArtifacts is SeparateArtifacts in a registry and LocalArtifacts in an
	// archive.
	AutoArtifacts Artifacts = ""
	// SeparateArtifacts are in repositories of their own, below the target's path,
	// as far as something tells their name.
	SeparateArtifacts Artifacts = "Separate"
	// LocalArtifacts are in the repository of the component version.
	LocalArtifacts Artifacts = "Local"
	// PackedArtifacts are archives among the blobs of the component version, which
	// is what the older reference tool reads.
	PackedArtifacts Artifacts = "Packed"
)

// Confirm says what is read back at the target.
type Confirm string

// What is read back.
const (
	// ConfirmContents reads descriptors and all contents that have a digest.
	ConfirmContents Confirm = ""
	// ConfirmDescriptors reads descriptors only.
	ConfirmDescriptors Confirm = "Descriptors"
)

// Options say what is copied and how. The zero value copies everything.
type Options struct {
	// Resources are those that are copied by value.
	Resources Resources
	// Sources has sources copied by value, too.
	Sources bool
	// Flat leaves out what the component version refers to.
	Flat bool
	// OmitResourceTypes and OmitAccessTypes are types of resources, and kinds of
	// access, that are not copied by value.
	OmitResourceTypes, OmitAccessTypes []string
	// Artifacts says how OCI artifacts are kept.
	Artifacts Artifacts
	// Overwrite allows replacing what has the same name and other content.
	Overwrite bool
	// Pinned returns the digest of the manifest of a component version. If it is
	// set, nothing is copied that it doesn't know.
	Pinned func(component, version string) (digest.Digest, bool)
	// Targets, if set, returns for Check the digests of the manifests that component
	// versions have at the target to which the one that is checked refers, as far as it
	// is known: Version.Target of the result that was last. References without a digest
	// are told by nothing else from others of the same name.
	Targets func(component, version string) (digest.Digest, bool)
	// Have are the blobs that whoever reads an archive has already. They are not
	// written into it.
	Have *Have
	// Concurrency is how many blobs are copied at once, 4 if zero.
	Concurrency int
	// MaxDepth and MaxVersions bound the tree of references, 32 and 1000 if zero.
	MaxDepth, MaxVersions int
	// Confirm says what is read back at the target.
	Confirm Confirm
	// Verify are signatures that must hold: at the source before anything is
	// copied, unless Pinned is set, and at the target afterwards.
	Verify []signing.Request
	// Progress, if set, is called from one goroutine at a time.
	Progress func(Progress)
	// TempDir is for archives that are taken apart, and for contents whose size nobody
	// tells before they are read; the default directory of the system if empty.
	TempDir string
	// Room, if set, bounds what they take there together with others.
	Room *ctf.Room
	// Now returns the time that certificates must be valid at, time.Now if nil.
	Now func() time.Time
	// Memory, if set, remembers for Check what component versions are made of.
	Memory *Memory
}

// Phase is what a transfer is doing.
type Phase string

// Phases in their order.
const (
	Reading   Phase = "Reading"
	Copying   Phase = "Copying"
	Verifying Phase = "Verifying"
)

// Progress tells how far a transfer is.
type Progress struct {
	// Phase is what is done now.
	Phase Phase
	// Versions is how many component versions there are, as far as it is known.
	Versions int
	// Blobs are done, of TotalBlobs. Those that the target has already are done.
	Blobs, TotalBlobs int
	// Bytes are done, of TotalBytes.
	Bytes, TotalBytes int64
	// Steps grows with everything that moves, also what is not counted above.
	Steps int64
}

// Outcome is what became of a component version.
type Outcome string

// Outcomes.
const (
	// Created was not there before.
	Created Outcome = "Created"
	// Unchanged was there already.
	Unchanged Outcome = "Unchanged"
	// Merged was there with the same content, and got what no signature covers:
	// signatures, labels, and where contents are.
	Merged Outcome = "Merged"
	// Replaced was there with other content.
	Replaced Outcome = "Replaced"
)

// Version is a component version that was transferred.
type Version struct {
	// Component and Version name it.
	Component, Version string
	// Source and Target are the digests of its manifest on both sides.
	Source, Target digest.Digest
	// Outcome is what became of it.
	Outcome Outcome
}

// Result says what a transfer did.
type Result struct {
	// Versions are in the order they were written, so the last is the one that was
	// asked for.
	Versions []Version
	// Blobs is how many there are: Copied were sent, Mounted were taken from another
	// repository of the target, and Present were there.
	Blobs, Copied, Mounted, Present int
	// Omitted is how many blobs were left out, as Options.Have says.
	Omitted int
	// Bytes is the size of all blobs, CopiedBytes of those that were sent.
	Bytes, CopiedBytes int64
}

const (
	defaultConcurrency = 4
	defaultMaxDepth    = 32
	defaultMaxVersions = 1000
)

func (o Options) withDefaults(target *ocm.Repository) Options {
	o.Concurrency = or(o.Concurrency, defaultConcurrency)
	o.MaxDepth = or(o.MaxDepth, defaultMaxDepth)
	o.MaxVersions = or(o.MaxVersions, defaultMaxVersions)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Artifacts == AutoArtifacts && target != nil {
		o.Artifacts = SeparateArtifacts
		if target.Archive() {
			o.Artifacts = LocalArtifacts
		}
	}
	return o
}

func or(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}

// Run copies a component version. The error is a *ConflictError if the target has
// another one of the same name, and a *MissingError if an archive lacks what the
// target has not either; then nothing was tagged. A run that is cut off by its
// context, or ends with any error, can be repeated. The result, which is never nil,
// then says what was done until then.
func Run(ctx context.Context, source, target *ocm.Repository, component, version string, o Options) (*Result, error) {
	r := &run{source: source, target: target, options: o.withDefaults(target), copies: newCopies()}
	defer r.spools.close()
	if err := r.do(ctx, component, version); err != nil {
		return r.result(), fmt.Errorf("transfer %s:%s from %s to %s: %w", component, version, source.URL(), target.URL(), err)
	}
	return r.result(), nil
}

// run is one transfer.
type run struct {
	source, target *ocm.Repository
	options        Options
	// versions are those that are copied, references before those that refer to them.
	versions []*node
	copies   *copies
	// places are the repositories of the target by component, or by /path.
	places group[oci.Storage]
	spools spools
	trees  trees
	// claimed are the tags of artifacts by repository and name.
	claimed  map[[2]string]digest.Digest
	progress progress
	// lacking are contents that could not be compared at the source.
	lacking lacking
}

func (r *run) do(ctx context.Context, component, version string) error {
	r.progress.report = r.options.Progress
	read := func(ctx context.Context) error { return r.read(ctx, component, version) }
	for _, step := range []struct {
		side oci.Side
		do   func(context.Context) error
	}{
		{oci.Source, read},
		{oci.Source, r.prove},
		{oci.Target, r.look},
		{oci.Source, r.plan},
		{oci.Target, r.compare},
		{oci.Target, r.copy},
		{oci.Target, r.proveRest},
		{oci.Target, r.publish},
		{oci.Target, r.confirm},
	} {
		err := step.do(ctx)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		default:
			return sided(step.side, err)
		}
	}
	return nil
}

// sided notes the side that an error is about, unless it has one.
func sided(side oci.Side, err error) error {
	if err == nil || oci.SideOf(err) != "" {
		return err
	}
	return &oci.SideError{Side: side, Err: err}
}

func (r *run) result() *Result {
	out := r.copies.result()
	for _, n := range r.versions {
		if n.target == "" {
			continue // it was not written
		}
		out.Versions = append(out.Versions, Version{
			Component: n.component, Version: n.version, Source: n.found.ManifestDigest(), Target: n.target, Outcome: n.outcome,
		})
	}
	return out
}
