package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// repositories is how many there are of each sort, so that clients meet.
	repositories = 6
	// sharedBlobs is how many blobs there are that many artifacts have in common.
	sharedBlobs = 8
)

// world is what workers and auditors share.
type world struct {
	client *client
	ledger *ledger
	counts counts
	pool   [][]byte
	dir    string
	quota  int64
	live   int
	ids    atomic.Int64
	// busy is held for reading by whoever works, so that an audit can have the registry for itself.
	busy sync.RWMutex
	// starts is how often the registry was started.
	starts atomic.Int64
}

// noise is content that nobody else has.
func noise(random *rand.Rand, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(random.Uint32())
	}
	return out
}

// size is small mostly, and large now and then.
func size(random *rand.Rand) int {
	switch random.IntN(20) {
	case 0:
		return 1<<20 + random.IntN(1<<20)
	case 1:
		return 0
	default:
		return 1 + random.IntN(32<<10)
	}
}

// invent makes an artifact, or an index of two.
func (w *world) invent(random *rand.Rand) *artifact {
	a := &artifact{blobs: map[digest.Digest][]byte{}}
	a.tag = "t" + strconv.FormatInt(w.ids.Add(1), 10)
	if number := random.IntN(2 * repositories); number < repositories {
		a.repository = managedPrefix + "r" + strconv.Itoa(number)
	} else {
		a.repository = "tagged/r" + strconv.Itoa(number-repositories)
	}
	algorithm := digest.SHA256
	if random.IntN(6) == 0 {
		algorithm = digest.SHA512
	}
	images := 1
	if random.IntN(8) == 0 {
		images = 2
	}
	var children []ocispec.Descriptor
	for range images {
		children = append(children, w.image(random, a, algorithm, nil))
	}
	if images > 1 {
		index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: children}
		index.SchemaVersion = 2
		children = append(children, a.manifest(index.MediaType, index, algorithm))
	}
	a.main = len(a.manifests) - 1
	if random.IntN(6) == 0 {
		w.image(random, a, digest.SHA256, &children[a.main])
	}
	return a
}

// image makes a manifest, which refers to a subject unless that is nil.
func (w *world) image(random *rand.Rand, a *artifact, algorithm digest.Algorithm, subject *ocispec.Descriptor) ocispec.Descriptor {
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: a.blob([]byte("{}"), digest.SHA256), Layers: []ocispec.Descriptor{}, Subject: subject}
	m.SchemaVersion = 2
	m.Annotations = map[string]string{"id": strconv.FormatInt(w.ids.Add(1), 10) + "-" + strconv.FormatUint(random.Uint64(), 16)}
	for range 1 + random.IntN(2) {
		m.Layers = append(m.Layers, a.blob(noise(random, size(random)), algorithm))
	}
	if random.IntN(2) == 0 {
		m.Layers = append(m.Layers, a.blob(w.pool[random.IntN(len(w.pool))], digest.SHA256))
	}
	return a.manifest(m.MediaType, m, algorithm)
}

func (a *artifact) blob(content []byte, algorithm digest.Algorithm) ocispec.Descriptor {
	d := algorithm.FromBytes(content)
	a.blobs[d] = content
	return ocispec.Descriptor{MediaType: "application/octet-stream", Digest: d, Size: int64(len(content))}
}

func (a *artifact) manifest(mediaType string, m any, algorithm digest.Algorithm) ocispec.Descriptor {
	body, err := json.Marshal(m)
	if err != nil {
		// Structs of strings and numbers always encode.
		panic(err)
	}
	d := document{algorithm.FromBytes(body), mediaType, body}
	a.manifests = append(a.manifests, d)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d.digest, Size: int64(len(body))}
}

// work does one thing after the other until the context is over, and ends with the first answer that is wrong.
func (w *world) work(ctx context.Context, random *rand.Rand) error {
	for ctx.Err() == nil {
		w.busy.RLock()
		err := w.step(ctx, random)
		w.busy.RUnlock()
		if errors.Is(err, errBroken) {
			w.counts.broken.Add(1)
			continue
		}
		if errors.Is(err, errFull) {
			w.counts.refused.Add(1)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) step(ctx context.Context, random *rand.Rand) error {
	switch choice := random.IntN(100); {
	case choice < 35 && w.ledger.size() < w.live:
		a := w.invent(random)
		a.use.Lock()
		defer a.use.Unlock()
		w.ledger.add(a)
		return w.push(ctx, a, random)
	case choice < 45:
		return w.again(ctx, random)
	case choice < 60 && w.ledger.size() > w.live/2:
		return w.retire(ctx, random)
	default:
		return w.read(ctx, random)
	}
}

// push repeats what the registry has not acknowledged; the next step goes on with it when there is no answer.
func (w *world) push(ctx context.Context, a *artifact, random *rand.Rand) error {
	for ctx.Err() == nil {
		done, err := w.client.push(ctx, a, random.IntN(3))
		if err != nil && !errors.Is(err, errBroken) && !errors.Is(err, errFull) {
			return err
		}
		if done {
			if a.hurt != "" {
				w.counts.repaired.Add(1)
			}
			a.state, a.hurt = acknowledged, ""
			w.counts.pushes.Add(1)
			return nil
		}
		w.counts.retries.Add(1)
		if err != nil {
			return err
		}
	}
	return nil
}

// again pushes what no answer came for, or what was deleted and perhaps collected meanwhile.
func (w *world) again(ctx context.Context, random *rand.Rand) error {
	a := w.ledger.pick(random)
	if random.IntN(8) == 0 {
		a = w.ledger.past(random)
	}
	if a == nil || !a.use.TryLock() {
		return nil
	}
	defer a.use.Unlock()
	if a.state == deleted || a.state == released {
		if !w.ledger.revive(a) {
			return nil
		}
		a.state = attempted
		w.counts.repushes.Add(1)
	}
	return w.push(ctx, a, random)
}

// retire deletes an artifact, or stops to keep it where that is enough.
func (w *world) retire(ctx context.Context, random *rand.Rand) error {
	a := w.ledger.pick(random)
	if a == nil || !a.use.TryLock() {
		return nil
	}
	defer a.use.Unlock()
	if managed(a.repository) && random.IntN(4) > 0 {
		a.state = released
		w.counts.releases.Add(1)
		w.ledger.retire(a)
		return nil
	}
	a.state = attempted
	done, err := w.client.remove(ctx, a)
	if done {
		a.state = deleted
		w.counts.deletions.Add(1)
		w.ledger.retire(a)
	}
	return err
}

func (w *world) read(ctx context.Context, random *rand.Rand) error {
	a := w.ledger.pick(random)
	if random.IntN(8) == 0 {
		a = w.ledger.past(random)
	}
	if a == nil || !a.use.TryRLock() {
		return nil
	}
	defer a.use.RUnlock()
	before := w.starts.Load()
	err := w.judge(ctx, a)
	if wrong := new(wrongError); errors.As(err, &wrong) && a.state != acknowledged && w.starts.Load() != before {
		// A registry that was killed has forgotten that it was just read, and may have collected it meanwhile.
		return nil
	}
	if err == nil {
		w.counts.pulls.Add(1)
	}
	return err
}

// judge compares what the registry serves with what is known. Who calls holds the artifact.
func (w *world) judge(ctx context.Context, a *artifact) error {
	found, err := w.client.pull(ctx, a)
	switch {
	case err != nil:
		return err
	case a.state == acknowledged && found != whole:
		return wrong("%s of %s was acknowledged and is lost", a.root(), a.repository)
	case a.state == deleted && found != nowhere:
		return wrong("%s of %s was deleted and is back", a.root(), a.repository)
	default:
		return nil
	}
}

// counts is what was done.
type counts struct {
	refused, damaged, repaired, pushes, retries, repushes, pulls, deletions, releases, broken, kills, audited, collections, collected, freed atomic.Int64
}

// idle is an error when something was not done at all, which then proves nothing.
func (c *counts) idle(o options) error {
	wanted := map[string]*atomic.Int64{
		"pushes": &c.pushes, "pulls": &c.pulls, "deletions": &c.deletions, "releases": &c.releases,
		"kills": &c.kills, "audits": &c.audited, "collections": &c.collections, "collected blobs": &c.collected,
	}
	if o.damage > 0 {
		wanted["damaged files"], wanted["repairs"] = &c.damaged, &c.repaired
	}
	var err error
	for what, n := range wanted {
		if n.Load() == 0 {
			err = errors.Join(err, wrong("there were no %s: go on for longer", what))
		}
	}
	return err
}

// String lists the counts.
func (c *counts) String() string {
	var b strings.Builder
	for i, count := range []struct {
		what string
		n    *atomic.Int64
	}{
		{"pushed", &c.pushes},
		{"again what was deleted", &c.repushes},
		{"retried", &c.retries},
		{"refused for want of room", &c.refused},
		{"pulled", &c.pulls},
		{"deleted", &c.deletions},
		{"released", &c.releases},
		{"killed", &c.kills},
		{"requests without an answer", &c.broken},
		{"audited", &c.audited},
		{"files damaged", &c.damaged},
		{"artifacts repaired", &c.repaired},
		{"collections", &c.collections},
		{"blobs collected", &c.collected},
		{"bytes freed", &c.freed},
	} {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %d", count.what, count.n.Load())
	}
	return b.String() + "\n"
}

// pooled is the artifact whose blobs are mounted by others.
func (w *world) pooled() *artifact {
	a := &artifact{repository: "shared/pool", tag: "pool", blobs: map[digest.Digest][]byte{}}
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: a.blob([]byte("{}"), digest.SHA256)}
	m.SchemaVersion = 2
	for _, content := range w.pool {
		m.Layers = append(m.Layers, a.blob(content, digest.SHA256))
	}
	a.manifest(m.MediaType, m, digest.SHA256)
	return a
}
