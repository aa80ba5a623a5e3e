package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The index is one bbolt database:
//
//	repositories/<name>/tags       tag             -> digest
//	repositories/<name>/manifests  digest          -> record
//	repositories/<name>/links      key             -> number of manifests that name it
//	repositories/<name>/referrers  subject!digest  -> descriptor of the referrer
//	bodies                         digest          -> bytes of a manifest
//	refs                           key             -> number of repositories that link it
//	state                          format, leases, probe
var (
	bucketRepositories = []byte("repositories")
	bucketTags         = []byte("tags")
	bucketManifests    = []byte("manifests")
	bucketLinks        = []byte("links")
	bucketReferrers    = []byte("referrers")
	bucketBodies       = []byte("bodies")
	bucketRefs         = []byte("refs")
	bucketState        = []byte("state")

	keyFormat = []byte("format")
	keyLeases = []byte("leases")
	keyProbe  = []byte("probe")
)

// format is the version of the layout above.
const format = "1"

// record is what the index knows of a manifest in one repository.
type record struct {
	MediaType string          `json:"t"`
	Size      int64           `json:"s"`
	Blobs     []digest.Digest `json:"b,omitempty"`
	Children  []digest.Digest `json:"c,omitempty"`
	Subject   digest.Digest   `json:"r,omitempty"`
}

// names lists what the record keeps alive.
func (r *record) names() []key {
	keys := make([]key, 0, len(r.Blobs)+len(r.Children))
	for _, d := range r.Blobs {
		keys = append(keys, blobKey(d))
	}
	for _, d := range r.Children {
		keys = append(keys, manifestKey(d))
	}
	return keys
}

type index struct {
	db   *bbolt.DB
	disk disk
	ops  chan *operation
	done chan struct{}
}

type operation struct {
	apply  func(tx *bbolt.Tx) error
	result chan error
}

func openIndex(dir string, d disk, noSync bool) (*index, error) {
	path := filepath.Join(dir, "index.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: time.Second, NoSync: noSync, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open registry index %s: another process has the directory open", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open registry index %s: %w", path, err)
	}
	if err := d.Commit(path, func() error { return db.Update(prepare) }); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare registry index %s: %w", path, err), db.Close())
	}
	x := &index{db: db, disk: d, ops: make(chan *operation), done: make(chan struct{})}
	go x.run()
	return x, nil
}

func prepare(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketRepositories, bucketBodies, bucketRefs, bucketState} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	state := tx.Bucket(bucketState)
	if found := state.Get(keyFormat); found != nil && string(found) != format {
		return fmt.Errorf("format %q is not known to this version, which writes %q", found, format)
	}
	return state.Put(keyFormat, []byte(format))
}

func (x *index) close() error {
	close(x.ops)
	<-x.done
	return x.db.Close()
}

func (x *index) view(read func(tx *bbolt.Tx) error) error { return x.db.View(read) }

// update applies one change and returns when it is on the disk. Changes that arrive while another
// one is being written share the next transaction: the disk is the bottleneck of small pushes.
// An operation may be applied twice, and only the last time counts.
func (x *index) update(apply func(tx *bbolt.Tx) error) error {
	op := &operation{apply: apply, result: make(chan error, 1)}
	x.ops <- op
	return <-op.result
}

func (x *index) run() {
	defer close(x.done)
	for op := range x.ops {
		batch := []*operation{op}
		for more := true; more && len(batch) < 128; {
			select {
			case next, open := <-x.ops:
				if more = open; open {
					batch = append(batch, next)
				}
			default:
				more = false
			}
		}
		x.commit(batch)
	}
}

// commit writes a batch in one transaction. An operation that fails is answered and left out,
// and the others begin again.
func (x *index) commit(batch []*operation) {
	for len(batch) > 0 {
		failed := -1
		err := x.disk.Commit(x.db.Path(), func() error {
			return x.db.Update(func(tx *bbolt.Tx) error {
				for i, op := range batch {
					if err := op.apply(tx); err != nil {
						failed = i
						return err
					}
				}
				return nil
			})
		})
		if failed < 0 {
			for _, op := range batch {
				op.result <- err
			}
			return
		}
		batch[failed].result <- err
		batch = append(batch[:failed:failed], batch[failed+1:]...)
	}
}

// repo is one repository within a transaction. Its buckets are nil when it holds nothing.
type repo struct {
	tx                                *bbolt.Tx
	name                              string
	tags, manifests, links, referrers *bbolt.Bucket
}

func readRepo(tx *bbolt.Tx, name string) (*repo, bool) {
	b := tx.Bucket(bucketRepositories).Bucket([]byte(name))
	if b == nil {
		return nil, false
	}
	return &repo{
		tx: tx, name: name, tags: b.Bucket(bucketTags), manifests: b.Bucket(bucketManifests),
		links: b.Bucket(bucketLinks), referrers: b.Bucket(bucketReferrers),
	}, true
}

func writeRepo(tx *bbolt.Tx, name string) (*repo, error) {
	b, err := tx.Bucket(bucketRepositories).CreateBucketIfNotExists([]byte(name))
	if err != nil {
		return nil, err
	}
	for _, part := range [][]byte{bucketTags, bucketManifests, bucketLinks, bucketReferrers} {
		if _, err := b.CreateBucketIfNotExists(part); err != nil {
			return nil, err
		}
	}
	r, _ := readRepo(tx, name)
	return r, nil
}

// record returns what is known of a manifest, or nil when it is not in the repository.
func (r *repo) record(d digest.Digest) (*record, error) {
	raw := r.manifests.Get([]byte(d))
	if raw == nil {
		return nil, nil //nolint:nilnil // absence is an answer here, and each caller has its own error for it
	}
	var rec record
	if err := json.Unmarshal(raw, &rec); err != nil {
		return nil, fmt.Errorf("%w: record of %s in %s: %w", ErrDamaged, d, r.name, err)
	}
	return &rec, nil
}

// add enters a manifest with its links and its place among the referrers of its subject.
func (r *repo) add(d digest.Digest, rec *record, body []byte, referrer *ocispec.Descriptor) error {
	raw, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	if err := r.manifests.Put([]byte(d), raw); err != nil {
		return err
	}
	for _, k := range rec.names() {
		if err := r.link(k, 1); err != nil {
			return err
		}
	}
	if err := addRef(r.tx, manifestKey(d), 1); err != nil {
		return err
	}
	if referrer != nil {
		raw, err := json.Marshal(referrer)
		if err != nil {
			return err
		}
		if err := r.referrers.Put(referrerKey(rec.Subject, d), raw); err != nil {
			return err
		}
	}
	return r.tx.Bucket(bucketBodies).Put([]byte(d), body)
}

// remove takes a manifest out again; its tags are the caller's.
func (r *repo) remove(d digest.Digest, rec *record) error {
	for _, k := range rec.names() {
		if err := r.link(k, -1); err != nil {
			return err
		}
	}
	if rec.Subject != "" {
		if err := r.referrers.Delete(referrerKey(rec.Subject, d)); err != nil {
			return err
		}
	}
	if err := addRef(r.tx, manifestKey(d), -1); err != nil {
		return err
	}
	return r.manifests.Delete([]byte(d))
}

// untag removes the tags that point at a manifest.
func (r *repo) untag(d digest.Digest) error {
	var tags [][]byte
	err := r.tags.ForEach(func(tag, target []byte) error {
		if string(target) == string(d) {
			tags = append(tags, bytes.Clone(tag))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if err := r.tags.Delete(tag); err != nil {
			return err
		}
	}
	return nil
}

func (r *repo) tagged(d digest.Digest) bool {
	c := r.tags.Cursor()
	for tag, target := c.First(); tag != nil; tag, target = c.Next() {
		if string(target) == string(d) {
			return true
		}
	}
	return false
}

// dropIfEmpty removes a repository without manifests, so that names do not pile up.
func (r *repo) dropIfEmpty() error {
	if first, _ := r.manifests.Cursor().First(); first != nil {
		return nil
	}
	return r.tx.Bucket(bucketRepositories).DeleteBucket([]byte(r.name))
}

func (r *repo) linked(k key) bool { return r.links.Get([]byte(k)) != nil }

// link counts the manifests of the repository that name a blob or a child manifest. The first
// and the last one count for the blob as a whole.
func (r *repo) link(k key, delta int64) error {
	was, is, err := count(r.links, k, delta)
	if err != nil || !k.isBlob() || (was > 0) == (is > 0) {
		return err
	}
	return addRef(r.tx, k, delta)
}

func addRef(tx *bbolt.Tx, k key, delta int64) error {
	_, is, err := count(tx.Bucket(bucketRefs), k, delta)
	if err == nil && is == 0 && !k.isBlob() {
		err = tx.Bucket(bucketBodies).Delete([]byte(k.digest()))
	}
	return err
}

func refs(tx *bbolt.Tx, k key) int64 { return number(tx.Bucket(bucketRefs).Get([]byte(k))) }

func count(b *bbolt.Bucket, k key, delta int64) (was, is int64, err error) {
	was = number(b.Get([]byte(k)))
	is = was + delta
	switch {
	case is < 0:
		return was, is, fmt.Errorf("%w: %s is counted below zero", ErrDamaged, k.digest())
	case is == 0:
		return was, is, b.Delete([]byte(k))
	default:
		return was, is, b.Put([]byte(k), binary.BigEndian.AppendUint64(nil, uint64(is)))
	}
}

func number(raw []byte) int64 {
	if len(raw) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(raw)) //nolint:gosec // only count writes it, and never a negative number
}

func referrerKey(subject, d digest.Digest) []byte { return []byte(subject + "!" + d) }
