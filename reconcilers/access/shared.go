package access

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
)

// VersionsSince is ListVersions for those who can share an answer: that to a question which was asked at or after the
// given time.
func (r *Repository) VersionsSince(ctx context.Context, component string, since time.Time) ([]string, error) {
	return r.versions(ctx, component, Freshness{Since: since})
}

// VersionsWithin is ListVersions for an object that asks at each interval and is woken when there is another answer: one that
// is fresh enough will do, whoever it was for.
func (r *Repository) VersionsWithin(ctx context.Context, component string, f Freshness) ([]string, error) {
	return r.versions(ctx, component, r.fresh(f))
}

func (r *Repository) versions(ctx context.Context, component string, f Freshness) ([]string, error) {
	found, err := r.provider.listings.ask(ctx, r.key+" "+component, r.user.name(), f, func(ctx context.Context) (reply[[]string], error) {
		all, err := r.ListVersions(ctx, component)
		return listing(all), err
	})
	return slices.Clone(found), err
}

// listing returns versions as an answer.
func listing(all []string) reply[[]string] {
	const header = 16 // bytes of a string besides its text
	sum, size := sha256.New(), 0
	for _, version := range all {
		fmt.Fprintf(sum, "%d:%s", len(version), version)
		size += len(version) + header
	}
	return reply[[]string]{value: all, mark: string(sum.Sum(nil)), size: size}
}

// tagged is what the tag of a version leads to.
type tagged struct {
	manifest digest.Digest
	// read is set if the component version was read, which proves that the tag is one's.
	read bool
}

// reply returns it as an answer.
func (t tagged) reply() reply[tagged] {
	return reply[tagged]{value: t, mark: t.manifest.String(), size: len(t.manifest)}
}

// ResolveSince is Resolve for those who can share an answer: that to a question which was asked at or after the given time.
func (r *Repository) ResolveSince(ctx context.Context, component, version string, since time.Time) (digest.Digest, error) {
	return r.resolve(ctx, component, version, Freshness{Since: since})
}

// ResolveWithin is Resolve for an object that asks at each interval and is woken when there is another answer.
func (r *Repository) ResolveWithin(ctx context.Context, component, version string, f Freshness) (digest.Digest, error) {
	return r.resolve(ctx, component, version, r.fresh(f))
}

func (r *Repository) resolve(ctx context.Context, component, version string, f Freshness) (digest.Digest, error) {
	found, err := r.provider.tags.ask(ctx, r.tagKey(component, version), r.user.name(), f, func(ctx context.Context) (reply[tagged], error) {
		manifest, err := r.Resolve(ctx, component, version)
		return tagged{manifest: manifest}.reply(), err
	})
	return found.manifest, err
}

// ReadSince is ReadWithin for those who can share an answer: that to a question which was asked at or after the given time.
func (r *Repository) ReadSince(ctx context.Context, component, version string, since time.Time) (digest.Digest, bool, error) {
	return r.read(ctx, component, version, Freshness{Since: since})
}

// ReadWithin is ResolveWithin for those who will need the component version: it is read and remembered along with its digest,
// which saves a request. It tells whether that was so. A version that can't be read is nothing to be told here, as long as
// its digest is known.
func (r *Repository) ReadWithin(ctx context.Context, component, version string, f Freshness) (digest.Digest, bool, error) {
	return r.read(ctx, component, version, r.fresh(f))
}

func (r *Repository) read(ctx context.Context, component, version string, f Freshness) (digest.Digest, bool, error) {
	found, err := r.provider.tags.ask(ctx, r.tagKey(component, version), r.user.name(), f, func(ctx context.Context) (reply[tagged], error) {
		_, manifest, err := r.Current(ctx, component, version)
		read := err == nil
		if manifest != "" {
			err = nil
		}
		return tagged{manifest: manifest, read: read}.reply(), err
	})
	return found.manifest, found.read, err
}

func (r *Repository) tagKey(component, version string) string {
	return fmt.Sprintf("%s %s:%s", r.key, component, version)
}

// fresh is how old an answer may be for an object of a kind that is woken; for others it must be new.
func (r *Repository) fresh(f Freshness) Freshness {
	if r.provider.wakes.follows(r.user.Kind) {
		return f
	}
	return Freshness{Since: time.Now()}
}

// since is what is fresh for an object that nobody wakes.
func (f Freshness) since() time.Time {
	if soon := time.Now().Add(-shortAge); f.Interval > 0 && soon.After(f.Since) {
		return soon
	}
	return f.Since
}
