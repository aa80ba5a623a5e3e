// Package repositorytest is what every place component versions can be stored
// in has to pass.
package repositorytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// Repository is what a place has to offer.
type Repository interface {
	URL() string
	ListVersions(ctx context.Context, component string) ([]string, error)
	Resolve(ctx context.Context, component, version string) (digest.Digest, error)
	Get(ctx context.Context, component, version string) (*ocm.ComponentVersion, error)
	GetPinned(ctx context.Context, component, version string, manifest digest.Digest) (*ocm.ComponentVersion, error)
	Put(ctx context.Context, d *descriptor.Descriptor, blobs ocm.BlobSource, o ocm.PutOptions) (digest.Digest, error)
	Close() error
}

// Place opens one place. What was written is there when it was closed and is
// opened again.
type Place func() (Repository, error)

const component = "acme.org/shop"

// Run tests the places that the function makes, which must be empty.
func Run(t *testing.T, empty func(t *testing.T) Place) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Place){
		"put and get":         putAndGet,
		"content":             content,
		"versions":            listVersions,
		"missing":             missing,
		"overwrite":           overwrite,
		"broken source":       brokenSource,
		"refused":             refused,
		"many at once":        manyAtOnce,
		"given up":            givenUp,
		"reading is no write": readingIsNoWrite,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

// with opens the place, and closes it after use.
func with(t *testing.T, place Place, use func(Repository)) {
	t.Helper()
	r, err := place()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	use(r)
}

func version(version string, resources ...ocmtest.Resource) ocmtest.Component {
	return ocmtest.Component{Name: component, Version: version, Resources: resources}
}

func put(t *testing.T, place Place, c ocmtest.Component) digest.Digest {
	t.Helper()
	d, blobs, err := c.Build()
	if err != nil {
		t.Fatal(err)
	}
	var pinned digest.Digest
	with(t, place, func(r Repository) {
		if pinned, err = r.Put(t.Context(), d, blobs, ocm.PutOptions{}); err != nil {
			t.Fatalf("Put %s:%s: %v", c.Name, c.Version, err)
		}
	})
	return pinned
}

func putAndGet(t *testing.T, place Place) {
	want := put(t, place, version("1.0.0+build.7", ocmtest.Resource{Name: "text", Content: []byte("text")}))
	put(t, place, version("1.0.0"))
	with(t, place, func(r Repository) {
		if got, err := r.Resolve(t.Context(), component, "1.0.0+build.7"); err != nil || got != want {
			t.Errorf("Resolve = %s, %v, want %s", got, err, want)
		}
		byName, err := r.Get(t.Context(), component, "1.0.0+build.7")
		if err != nil {
			t.Fatal(err)
		}
		pinned, err := r.GetPinned(t.Context(), component, "1.0.0+build.7", want)
		if err != nil {
			t.Fatal(err)
		}
		for _, cv := range []*ocm.ComponentVersion{byName, pinned} {
			if cv.Component() != component || cv.Version() != "1.0.0+build.7" || cv.ManifestDigest() != want {
				t.Errorf("got %s:%s %s, want digest %s", cv.Component(), cv.Version(), cv.ManifestDigest(), want)
			}
			expect(t, cv, "text", "text")
		}
		if _, err := r.GetPinned(t.Context(), component, "1.0.0", want); !errors.Is(err, ocm.ErrNotComponent) {
			t.Errorf("GetPinned with the digest of another version = %v, want ErrNotComponent", err)
		}
	})
}

func expect(t *testing.T, cv *ocm.ComponentVersion, resource, want string) {
	t.Helper()
	res, err := cv.Descriptor().FindResource(descriptor.Selector{Name: resource})
	if err != nil {
		t.Fatal(err)
	}
	blob, err := cv.Open(t.Context(), res, ocm.ReadOptions{})
	if err != nil {
		t.Errorf("open %s: %v", resource, err)
		return
	}
	defer blob.Close()
	if got, err := io.ReadAll(blob); err != nil || string(got) != want {
		t.Errorf("content of %s = %q, %v, want %q", resource, got, err, want)
	}
}

// content stores every form of local content.
func content(t *testing.T, place Place) {
	chart := ocmtest.Chart("web", "1.0.0", []byte("chart"))
	packed, main, err := chart.Pack(ocmtest.Archive{})
	if err != nil {
		t.Fatal(err)
	}
	_, parts, err := chart.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	local := func(reference, mediaType string) *descriptor.Access {
		a, err := descriptor.NewAccess(access.LocalBlob{Type: "localBlob", LocalReference: reference, MediaType: mediaType})
		if err != nil {
			t.Fatal(err)
		}
		return &a
	}
	first, second := []byte("first "), []byte("second")
	d, blobs, err := version("1.0.0",
		ocmtest.Resource{Name: "plain", Content: []byte("plain")},
		ocmtest.Resource{Name: "empty", Content: []byte{}},
		ocmtest.Resource{Name: "split", Access: local(digest.FromBytes(first).String()+","+digest.FromBytes(second).String(), "text/plain")},
		ocmtest.Resource{Name: "packed", Content: packed, MediaType: "application/vnd.oci.image.manifest.v1+tar+gzip", Digest: descriptor.NewArtifactDigest(main)},
		ocmtest.Resource{Name: "nested", Access: local(main.String(), ocispec.MediaTypeImageManifest), Digest: descriptor.NewArtifactDigest(main)},
	).Build()
	if err != nil {
		t.Fatal(err)
	}
	blobs[digest.FromBytes(first)], blobs[digest.FromBytes(second)] = first, second
	maps.Copy(blobs, parts)
	with(t, place, func(r Repository) {
		if _, err := r.Put(t.Context(), d, blobs, ocm.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	with(t, place, func(r Repository) {
		cv, err := r.Get(t.Context(), component, "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		for resource, want := range map[string]string{"plain": "plain", "empty": "", "split": "first second", "packed": "chart", "nested": "chart"} {
			expect(t, cv, resource, want)
		}
	})
}

func listVersions(t *testing.T, place Place) {
	for _, v := range []string{"1.0.0", "2.0.0-rc.1", "v1.10.0", "1.2", "2.0.0+b.2", "2.0.0+b.1"} {
		put(t, place, version(v))
	}
	put(t, place, ocmtest.Component{Name: "acme.org/shop/db", Version: "9.0.0"})
	with(t, place, func(r Repository) {
		got, err := r.ListVersions(t.Context(), component)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"2.0.0+b.2", "2.0.0+b.1", "2.0.0-rc.1", "v1.10.0", "1.2", "1.0.0"}, got); diff != "" {
			t.Errorf("versions (-want +got):\n%s", diff)
		}
	})
}

func missing(t *testing.T, place Place) {
	check := func(err error, want ocm.NotFoundError) {
		t.Helper()
		var got *ocm.NotFoundError
		if !errors.Is(err, ocm.ErrNotFound) || !errors.As(err, &got) {
			t.Errorf("error = %v, want *NotFoundError", err)
			return
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
	}
	put(t, place, version("1.0.0"))
	with(t, place, func(r Repository) {
		noComponent := ocm.NotFoundError{Repository: r.URL(), Component: "acme.org/none"}
		noVersion := ocm.NotFoundError{Repository: r.URL(), Component: component, Version: "2.0.0", Available: []string{"1.0.0"}}
		_, err := r.ListVersions(t.Context(), "acme.org/none")
		check(err, noComponent)
		_, err = r.Get(t.Context(), "acme.org/none", "1.0.0")
		check(err, noComponent)
		_, err = r.Resolve(t.Context(), "acme.org/none", "1.0.0")
		check(err, noComponent)
		_, err = r.Get(t.Context(), component, "2.0.0")
		check(err, noVersion)
		_, err = r.Resolve(t.Context(), component, "2.0.0")
		check(err, noVersion)
		if _, err := r.GetPinned(t.Context(), component, "1.0.0", digest.FromString("none")); !errors.Is(err, ocm.ErrNotFound) {
			t.Errorf("GetPinned of a missing digest = %v, want ErrNotFound", err)
		}
	})
}

func overwrite(t *testing.T, place Place) {
	old := put(t, place, version("1.0.0", ocmtest.Resource{Name: "text", Content: []byte("old")}))
	if again := put(t, place, version("1.0.0", ocmtest.Resource{Name: "text", Content: []byte("old")})); again != old {
		t.Errorf("the second Put = %s, want %s", again, old)
	}
	d, blobs, err := version("1.0.0", ocmtest.Resource{Name: "text", Content: []byte("new")}).Build()
	if err != nil {
		t.Fatal(err)
	}
	with(t, place, func(r Repository) {
		if _, err := r.Put(t.Context(), d, blobs, ocm.PutOptions{}); !errors.Is(err, ocm.ErrExists) {
			t.Errorf("Put of other content = %v, want ErrExists", err)
		}
		if _, err := r.Put(t.Context(), d, blobs, ocm.PutOptions{Overwrite: true}); err != nil {
			t.Errorf("Put with Overwrite = %v", err)
		}
	})
	with(t, place, func(r Repository) {
		current, err := r.Get(t.Context(), component, "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, current, "text", "new")
		pinned, err := r.GetPinned(t.Context(), component, "1.0.0", old)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, pinned, "text", "old")
	})
}

// swapped gives other bytes than it should.
type swapped struct{ ocmtest.Blobs }

// OpenBlob implements ocm.BlobSource.
func (s swapped) OpenBlob(ctx context.Context, d digest.Digest) (io.ReadCloser, int64, error) {
	rc, size, err := s.Blobs.OpenBlob(ctx, d)
	if err == nil {
		rc = io.NopCloser(io.LimitReader(zeros{}, size))
	}
	return rc, size, err
}

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func brokenSource(t *testing.T, place Place) {
	d, blobs, err := version("1.0.0", ocmtest.Resource{Name: "text", Content: []byte("text")}).Build()
	if err != nil {
		t.Fatal(err)
	}
	with(t, place, func(r Repository) {
		if _, err := r.Put(t.Context(), d, swapped{blobs}, ocm.PutOptions{}); !errors.As(err, new(*ocm.DigestMismatchError)) {
			t.Errorf("Put of wrong bytes = %v, want *DigestMismatchError", err)
		}
		if _, err := r.Put(t.Context(), d, ocmtest.Blobs{}, ocm.PutOptions{}); !errors.Is(err, ocm.ErrNotFound) {
			t.Errorf("Put without the blob = %v, want ErrNotFound", err)
		}
		if _, err := r.Get(t.Context(), component, "1.0.0"); !errors.Is(err, ocm.ErrNotFound) {
			t.Errorf("Get = %v, want ErrNotFound", err)
		}
	})
	put(t, place, version("1.0.0", ocmtest.Resource{Name: "text", Content: []byte("text")}))
}

func refused(t *testing.T, place Place) {
	with(t, place, func(r Repository) {
		if _, err := r.ListVersions(t.Context(), "../etc"); err == nil {
			t.Error("ListVersions accepts a name that is none")
		}
		if _, err := r.Get(t.Context(), component, "../../x"); err == nil {
			t.Error("Get accepts a version that is none")
		}
		if _, err := r.GetPinned(t.Context(), component, "1.0.0", "sha256:../../x"); err == nil {
			t.Error("GetPinned accepts a digest that is none")
		}
		if _, err := r.Put(t.Context(), &descriptor.Descriptor{}, nil, ocm.PutOptions{}); err == nil {
			t.Error("Put accepts a descriptor without a name")
		}
	})
}

func manyAtOnce(t *testing.T, place Place) {
	const n = 12
	var want []string
	with(t, place, func(r Repository) {
		var wg sync.WaitGroup
		for i := range n {
			v := fmt.Sprintf("1.%d.0", i)
			want = append(want, v)
			wg.Go(func() {
				// All share a blob.
				d, blobs, err := version(v, ocmtest.Resource{Name: "text", Content: []byte("shared")}).Build()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := r.Put(t.Context(), d, blobs, ocm.PutOptions{}); err != nil {
					t.Errorf("Put %s: %v", v, err)
					return
				}
				cv, err := r.Get(t.Context(), component, v)
				if err != nil {
					t.Errorf("Get %s: %v", v, err)
					return
				}
				expect(t, cv, "text", "shared")
			})
		}
		wg.Wait()
	})
	slices.Reverse(want)
	with(t, place, func(r Repository) {
		got, err := r.ListVersions(t.Context(), component)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("versions (-want +got):\n%s%v", diff, err)
		}
	})
}

func givenUp(t *testing.T, place Place) {
	put(t, place, version("1.0.0"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d, blobs, err := version("2.0.0", ocmtest.Resource{Name: "text", Content: []byte("text")}).Build()
	if err != nil {
		t.Fatal(err)
	}
	with(t, place, func(r Repository) {
		if _, err := r.ListVersions(ctx, component); !errors.Is(err, context.Canceled) {
			t.Errorf("ListVersions = %v, want context.Canceled", err)
		}
		if _, err := r.Get(ctx, component, "1.0.0"); !errors.Is(err, context.Canceled) {
			t.Errorf("Get = %v, want context.Canceled", err)
		}
		if _, err := r.Put(ctx, d, blobs, ocm.PutOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("Put = %v, want context.Canceled", err)
		}
	})
}

// readingIsNoWrite opens the place twice at once.
func readingIsNoWrite(t *testing.T, place Place) {
	put(t, place, version("1.0.0", ocmtest.Resource{Name: "text", Content: []byte("text")}))
	with(t, place, func(outer Repository) {
		with(t, place, func(inner Repository) {
			cv, err := inner.Get(t.Context(), component, "1.0.0")
			if err != nil {
				t.Fatal(err)
			}
			expect(t, cv, "text", "text")
		})
		cv, err := outer.Get(t.Context(), component, "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, cv, "text", "text")
	})
}
