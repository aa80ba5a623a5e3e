package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// record is what the index knows of a manifest in one repository.
type record struct {
	MediaType string
	Size      int64
	Blobs     []sized
	Children  []digest.Digest
	Subject   digest.Digest
}

// sized is a blob that a manifest names.
type sized struct {
	Digest digest.Digest
	Size   int64
}

var errRecord = errors.New("it ends too early")

// mediaTypeOf are the media types by the number that the index has for them; a number is never given to another one.
func mediaTypeOf() []string {
	return []string{1: ocispec.MediaTypeImageManifest, 2: ocispec.MediaTypeImageIndex, 3: mediaTypeDockerManifest, 4: mediaTypeDockerList}
}

// encode writes the number of the media type, the sizes and digests, and the subject if there is one.
func (r *record) encode() ([]byte, error) {
	number := slices.Index(mediaTypeOf(), r.MediaType)
	if number < 1 {
		return nil, fmt.Errorf("media type %q has no number in the index", clip(r.MediaType))
	}
	raw := append(make([]byte, 0, 16+40*len(r.Blobs)+36*len(r.Children)), byte(number)) //nolint:gosec // there are four
	raw = binary.AppendVarint(raw, r.Size)
	raw = binary.AppendUvarint(raw, uint64(len(r.Blobs)))
	for _, b := range r.Blobs {
		raw = binary.AppendVarint(appendDigest(raw, b.Digest), b.Size)
	}
	raw = binary.AppendUvarint(raw, uint64(len(r.Children)))
	for _, d := range r.Children {
		raw = appendDigest(raw, d)
	}
	if r.Subject != "" {
		raw = appendDigest(raw, r.Subject)
	}
	return raw, nil
}

func decodeRecord(raw []byte) (*record, error) {
	types := mediaTypeOf()
	if len(raw) == 0 || raw[0] == 0 || int(raw[0]) >= len(types) {
		return nil, errors.New("it has no media type")
	}
	d := decoder{raw: raw[1:]}
	rec := &record{MediaType: types[raw[0]], Size: d.varint()}
	for range d.length() {
		rec.Blobs = append(rec.Blobs, sized{Digest: d.digest(), Size: d.varint()})
	}
	for range d.length() {
		rec.Children = append(rec.Children, d.digest())
	}
	if len(d.raw) > 0 {
		rec.Subject = d.digest()
	}
	if d.err == nil && len(d.raw) > 0 {
		d.err = errors.New("there is more behind it")
	}
	return rec, d.err
}

// decoder reads values one after the other. After an error all are zero.
type decoder struct {
	raw []byte
	err error
}

func (d *decoder) varint() int64 {
	n, used := binary.Varint(d.raw)
	d.skip(used)
	return n
}

// length is for how many values follow, of which each has many bytes.
func (d *decoder) length() int {
	n, used := binary.Uvarint(d.raw)
	if d.skip(used); n > uint64(len(d.raw)) {
		d.fail()
	}
	if d.err != nil {
		return 0
	}
	return int(n) //nolint:gosec // it is not greater than a length
}

func (d *decoder) skip(used int) {
	if used <= 0 {
		d.fail()
		return
	}
	d.raw = d.raw[used:]
}

func (d *decoder) fail() { d.raw, d.err = nil, errRecord }

func (d *decoder) digest() digest.Digest {
	found, rest, err := unpack(d.raw)
	if err != nil {
		d.fail()
		return ""
	}
	d.raw = rest
	return found
}
