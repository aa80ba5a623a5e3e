package store

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.etcd.io/bbolt"
)

// The index is one bbolt database. Its keys are flat and binary: with a bucket for each repository, which takes
// at least a page, the index of 100,000 snapshots was four times as large, and all of it was mapped after a start.
//
//	names    name              -> id of the repository
//	content  id t tag          -> digest
//	         id m digest       -> record of a manifest
//	         id l key          -> number of manifests that name it, and its size
//	         id r subject!own  -> descriptor of a referrer
//	bodies   digest            -> bytes of a manifest
//	refs     key               -> number of repositories that link it, and its size
//	state                      format, leases, totals, probe
//
// An id has eight bytes and is never used again. A digest is a byte for the algorithm and its bytes, a key a byte for what it is
// and a digest.
var (
	bucketNames   = []byte("names")
	bucketContent = []byte("content")
	bucketBodies  = []byte("bodies")
	bucketRefs    = []byte("refs")
	bucketState   = []byte("state")

	keyFormat = []byte("format")
	keyLeases = []byte("leases")
	keyTotals = []byte("totals")
	keyProbe  = []byte("probe")
)

// format is the version of the layout above, and oldFormat one that is not read any more.
const (
	format    = "2"
	oldFormat = "1"
)

// Kinds of what a repository has.
const (
	kindTag      = 't'
	kindManifest = 'm'
	kindLink     = 'l'
	kindReferrer = 'r'
)

const idLength = 8

// prepare makes the buckets of a new index. An index of the old format is emptied: what was in it is
// written again by those who miss it, and files of blobs are found there by them.
func prepare(tx *bbolt.Tx) (emptied bool, err error) {
	if state := tx.Bucket(bucketState); state != nil {
		switch found := state.Get(keyFormat); string(found) {
		case format, "":
		case oldFormat:
			emptied = true
		default:
			return false, fmt.Errorf("format %q is not known to this version, which writes %q: remove the directory, or run the version that wrote it", found, format)
		}
	}
	if emptied {
		err := tx.ForEach(func(name []byte, _ *bbolt.Bucket) error { return tx.DeleteBucket(bytes.Clone(name)) })
		if err != nil {
			return false, err
		}
	}
	for _, name := range [][]byte{bucketNames, bucketContent, bucketBodies, bucketRefs, bucketState} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return false, err
		}
	}
	return emptied, tx.Bucket(bucketState).Put(keyFormat, []byte(format))
}

// prepared tells whether there is nothing to prepare, which spares a write at every start.
func prepared(tx *bbolt.Tx) bool {
	state := tx.Bucket(bucketState)
	return state != nil && string(state.Get(keyFormat)) == format
}

// repo is one repository within a transaction.
type repo struct {
	tx      *bbolt.Tx
	name    string
	id      []byte
	content *bbolt.Bucket
}

func readRepo(tx *bbolt.Tx, name string) (*repo, bool) {
	id := tx.Bucket(bucketNames).Get([]byte(name))
	if len(id) != idLength {
		return nil, false
	}
	return &repo{tx: tx, name: name, id: bytes.Clone(id), content: tx.Bucket(bucketContent)}, true
}

func writeRepo(tx *bbolt.Tx, name string) (*repo, error) {
	r, found := readRepo(tx, name)
	if !found {
		names := tx.Bucket(bucketNames)
		next, err := names.NextSequence()
		if err != nil {
			return nil, err
		}
		id := binary.BigEndian.AppendUint64(nil, next)
		if err := names.Put([]byte(name), id); err != nil {
			return nil, err
		}
		r = &repo{tx: tx, name: name, id: id, content: tx.Bucket(bucketContent)}
	}
	// Repositories come one after the other, so pages need no room for what comes between.
	r.content.FillPercent = 0.9
	return r, nil
}

func (r *repo) key(kind byte, parts ...[]byte) []byte {
	k := append(bytes.Clone(r.id), kind)
	for _, part := range parts {
		k = append(k, part...)
	}
	return k
}

// each visits what begins with the prefix, in the order of the rest.
func (r *repo) each(prefix []byte, visit func(rest, value []byte) error) error {
	c := r.content.Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if err := visit(k[len(prefix):], v); err != nil {
			return err
		}
	}
	return nil
}

// eachTag visits the tags in ASCII order.
func (r *repo) eachTag(visit func(tag string, d digest.Digest) error) error {
	return r.each(r.key(kindTag), func(tag, raw []byte) error {
		d, err := r.digest(raw)
		if err != nil {
			return err
		}
		return visit(string(tag), d)
	})
}

// eachManifest visits the manifests in the order of their digests.
func (r *repo) eachManifest(visit func(d digest.Digest) error) error {
	return r.each(r.key(kindManifest), func(raw, _ []byte) error {
		d, err := r.digest(raw)
		if err != nil {
			return err
		}
		return visit(d)
	})
}

// eachLink visits the blobs and manifests that manifests of the repository name.
func (r *repo) eachLink(visit func(k key) error) error {
	return r.each(r.key(kindLink), func(raw, _ []byte) error {
		d, err := r.digest(raw[1:])
		if err != nil {
			return err
		}
		return visit(key(raw[:1]) + key(d))
	})
}

// eachReferrer visits the manifests whose subject has that digest.
func (r *repo) eachReferrer(subject digest.Digest, visit func(d digest.Digest) error) error {
	return r.each(r.key(kindReferrer, pack(subject)), func(raw, _ []byte) error {
		d, err := r.digest(raw)
		if err != nil {
			return err
		}
		return visit(d)
	})
}

func (r *repo) digest(raw []byte) (digest.Digest, error) {
	d, rest, err := unpack(raw)
	if err != nil || len(rest) > 0 {
		return "", fmt.Errorf("%w: index of %s has %d bytes where a digest should be", ErrDamaged, r.name, len(raw))
	}
	return d, nil
}

// tag returns what a tag points at, or nothing.
func (r *repo) tag(name string) digest.Digest {
	d, _, err := unpack(r.content.Get(r.key(kindTag, []byte(name))))
	if err != nil {
		return ""
	}
	return d
}

func (r *repo) setTag(name string, d digest.Digest) error {
	return r.content.Put(r.key(kindTag, []byte(name)), pack(d))
}

func (r *repo) deleteTag(name string) error { return r.content.Delete(r.key(kindTag, []byte(name))) }

// untag removes the tags that point at a manifest.
func (r *repo) untag(d digest.Digest) error {
	var tags []string
	err := r.eachTag(func(tag string, target digest.Digest) error {
		if target == d {
			tags = append(tags, tag)
		}
		return nil
	})
	for _, tag := range tags {
		if err == nil {
			err = r.deleteTag(tag)
		}
	}
	return err
}

func (r *repo) tagged(d digest.Digest) bool {
	want, found := pack(d), false
	_ = r.each(r.key(kindTag), func(_, target []byte) error {
		found = found || bytes.Equal(target, want)
		return nil
	})
	return found
}

// record returns what is known of a manifest, or nil when it is not in the repository.
func (r *repo) record(d digest.Digest) (*record, error) {
	raw := r.content.Get(r.key(kindManifest, pack(d)))
	if raw == nil {
		return nil, nil //nolint:nilnil // absence is an answer here, and each caller has its own error for it
	}
	rec, err := decodeRecord(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: record of %s in %s: %w", ErrDamaged, d, r.name, err)
	}
	return rec, nil
}

// add enters a manifest with its links and its place among the referrers of its subject.
func (r *repo) add(d digest.Digest, rec *record, body []byte, referrer *ocispec.Descriptor) error {
	raw, err := rec.encode()
	if err != nil {
		return err
	}
	if err := r.content.Put(r.key(kindManifest, pack(d)), raw); err != nil {
		return err
	}
	if err := r.linkAll(rec, 1); err != nil {
		return err
	}
	if err := addRef(r.tx, manifestKey(d), 1, rec.Size); err != nil {
		return err
	}
	if referrer != nil {
		raw, err := json.Marshal(referrer)
		if err != nil {
			return err
		}
		if err := r.content.Put(r.referrerKey(rec.Subject, d), raw); err != nil {
			return err
		}
	}
	return putBody(r.tx, d, body)
}

// remove takes a manifest out again; its tags are the caller's.
func (r *repo) remove(d digest.Digest, rec *record) error {
	if err := r.linkAll(rec, -1); err != nil {
		return err
	}
	if rec.Subject != "" {
		if err := r.content.Delete(r.referrerKey(rec.Subject, d)); err != nil {
			return err
		}
	}
	if err := addRef(r.tx, manifestKey(d), -1, rec.Size); err != nil {
		return err
	}
	return r.content.Delete(r.key(kindManifest, pack(d)))
}

func (r *repo) referrerKey(subject, d digest.Digest) []byte {
	return r.key(kindReferrer, pack(subject), pack(d))
}

// dropIfEmpty removes a repository without manifests, so that names do not pile up.
func (r *repo) dropIfEmpty() error {
	prefix := r.key(kindManifest)
	if first, _ := r.content.Cursor().Seek(prefix); bytes.HasPrefix(first, prefix) {
		return nil
	}
	var left [][]byte
	err := r.each(r.id, func(rest, _ []byte) error {
		left = append(left, append(bytes.Clone(r.id), rest...))
		return nil
	})
	for _, k := range left {
		if err == nil {
			err = r.content.Delete(k)
		}
	}
	if err != nil {
		return err
	}
	return r.tx.Bucket(bucketNames).Delete([]byte(r.name))
}

func (r *repo) linked(k key) bool { return r.content.Get(r.key(kindLink, packKey(k))) != nil }

func (r *repo) linkAll(rec *record, delta int64) error {
	for _, b := range rec.Blobs {
		if err := r.link(blobKey(b.Digest), delta, b.Size); err != nil {
			return err
		}
	}
	for _, d := range rec.Children {
		if err := r.link(manifestKey(d), delta, 0); err != nil {
			return err
		}
	}
	return nil
}

// link counts the manifests of the repository that name a blob or a child manifest. The first
// and the last one count for the blob as a whole.
func (r *repo) link(k key, delta, size int64) error {
	was, is, err := count(r.content, r.key(kindLink, packKey(k)), delta, size)
	if err != nil || !k.isBlob() || (was > 0) == (is > 0) {
		return err
	}
	return addRef(r.tx, k, delta, size)
}

func addRef(tx *bbolt.Tx, k key, delta, size int64) error {
	_, is, err := count(tx.Bucket(bucketRefs), packKey(k), delta, size)
	if err == nil && is == 0 && !k.isBlob() {
		err = deleteBody(tx, k.digest())
	}
	return err
}

func refs(tx *bbolt.Tx, k key) int64 {
	n, _ := counted(tx.Bucket(bucketRefs).Get(packKey(k)))
	return n
}

// body returns the bytes of a manifest, which are good until the transaction ends, or nil.
func body(tx *bbolt.Tx, d digest.Digest) []byte { return tx.Bucket(bucketBodies).Get(pack(d)) }

func putBody(tx *bbolt.Tx, d digest.Digest, body []byte) error {
	return tx.Bucket(bucketBodies).Put(pack(d), body)
}

func deleteBody(tx *bbolt.Tx, d digest.Digest) error { return tx.Bucket(bucketBodies).Delete(pack(d)) }

func count(b *bbolt.Bucket, k []byte, delta, size int64) (was, is int64, err error) {
	was, _ = counted(b.Get(k))
	is = was + delta
	switch {
	case is < 0:
		return was, is, fmt.Errorf("%w: something in the index is counted below zero", ErrDamaged)
	case is == 0:
		return was, is, b.Delete(k)
	default:
		return was, is, b.Put(k, binary.AppendVarint(binary.AppendVarint(nil, is), size))
	}
}

func counted(raw []byte) (n, size int64) {
	n, used := binary.Varint(raw)
	if used <= 0 {
		return 0, 0
	}
	size, _ = binary.Varint(raw[used:])
	return n, size
}

const (
	packedSHA256 = 1
	packedSHA512 = 2
)

// pack makes a digest half as long, and keeps the order.
func pack(d digest.Digest) []byte { return appendDigest(nil, d) }

func appendDigest(to []byte, d digest.Digest) []byte {
	parsed, err := ParseDigest(string(d))
	if err != nil {
		// Nothing is ever entered under what is no digest, so nothing is found there.
		return append(to, 0)
	}
	if parsed.Algorithm() == digest.SHA512 {
		to = append(to, packedSHA512)
	} else {
		to = append(to, packedSHA256)
	}
	to, _ = hex.AppendDecode(to, []byte(parsed.Encoded()))
	return to
}

// unpack reads a digest, and returns what follows it.
func unpack(raw []byte) (d digest.Digest, rest []byte, err error) {
	algorithm, length := digest.SHA256, 32
	if len(raw) > 0 && raw[0] == packedSHA512 {
		algorithm, length = digest.SHA512, 64
	}
	if len(raw) <= length || raw[0] != packedSHA256 && raw[0] != packedSHA512 {
		return "", nil, fmt.Errorf("%w: no digest in %d bytes of the index", ErrDamaged, len(raw))
	}
	return digest.NewDigestFromEncoded(algorithm, hex.EncodeToString(raw[1:length+1])), raw[length+1:], nil
}

func packKey(k key) []byte { return appendDigest([]byte(k[:1]), k.digest()) }
