package transfer_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// within returns a repository that only this test has, used with a password.
func within(t *testing.T, name, path, password string, memory *oci.Memory) *oci.Repository {
	t.Helper()
	c := registry(t, name)
	store := &credentials.Store{}
	if c.Username != "" {
		store.Add(c.URL, credentials.Credential{Username: c.Username, Password: password})
	}
	location, err := oci.ParseURL(c.URL + "/" + pathOf(t) + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := oci.NewClient(oci.Options{Home: location.Host, Credentials: store, Memory: memory}).Repository(location)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// with returns it used with the right password.
func with(t *testing.T, name, path string) *oci.Repository {
	t.Helper()
	return within(t, name, path, registry(t, name).Password, nil)
}

func random(t *testing.T, n int) ([]byte, ocispec.Descriptor) {
	t.Helper()
	content := make([]byte, n)
	_, _ = rand.Read(content) // it returns no error
	return content, ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromBytes(content), Size: int64(n)}
}

func store(t *testing.T, to oci.Storage, content []byte, desc ocispec.Descriptor) {
	t.Helper()
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	if err := to.PushBlob(t.Context(), desc, open); err != nil {
		t.Fatal(err)
	}
}

// TestBlobs copies blobs between registries of every make.
func TestBlobs(t *testing.T) {
	for _, from := range []string{ours, distribution, gcr} {
		for _, to := range []string{ours, distribution, gcr} {
			t.Run(from+" to "+to, func(t *testing.T) {
				source, target := with(t, from, "a"), with(t, to, "b")
				// The last one is larger than what the registry is asked for first.
				for _, size := range []int{1, 100_000, 9 << 20} {
					content, desc := random(t, size)
					store(t, source, content, desc)
					first, err := oci.CopyBlob(t.Context(), source, target, desc, oci.CopyOptions{})
					if err != nil {
						t.Fatalf("%d bytes: %v", size, err)
					}
					// Some registries have each blob in every repository.
					if from != to && first != oci.Copied || from == to && first != oci.Mounted && from != gcr {
						t.Errorf("%d bytes: %s", size, first)
					}
					if again, err := oci.CopyBlob(t.Context(), source, target, desc, oci.CopyOptions{}); again != oci.Present || err != nil {
						t.Errorf("%d bytes again: %s, %v", size, again, err)
					}
					rc, _, err := target.Blob(t.Context(), desc.Digest, desc.Size)
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(rc)
					if rc.Close(); err != nil || !bytes.Equal(got, content) {
						t.Errorf("%d bytes are %d others: %v", size, len(got), err)
					}
				}
			})
		}
	}
}

// wrong is a source with other content than it says.
type wrong struct{ oci.Storage }

// Blob implements oci.Storage.
func (w wrong) Blob(_ context.Context, d digest.Digest, size int64, _ ...digest.Digest) (io.ReadCloser, int64, error) {
	rc, err := oci.Verify(io.NopCloser(strings.NewReader(strings.Repeat("x", int(size)))), "it", size, d)
	return rc, size, err
}

// TestBrokenBlobs leaves nothing of what was wrong or not finished, and finishes it later.
func TestBrokenBlobs(t *testing.T) {
	for to, from := range map[string]string{ours: gcr, distribution: ours, gcr: distribution} {
		t.Run(to, func(t *testing.T) {
			source, target := with(t, from, "a"), with(t, to, "b")
			content, desc := random(t, 9<<20)
			store(t, source, content, desc)
			_, err := oci.CopyBlob(t.Context(), wrong{source}, target, desc, oci.CopyOptions{})
			if !errors.As(err, new(*oci.DigestMismatchError)) || oci.SideOf(err) != oci.Source {
				t.Errorf("other content: %v of side %q", err, oci.SideOf(err))
			}
			ctx, cancel := context.WithCancel(t.Context())
			_, err = oci.CopyBlob(ctx, source, target, desc, oci.CopyOptions{Report: func(int64) { cancel() }})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("given up: %v", err)
			}
			if has, err := target.Has(t.Context(), desc); has || err != nil {
				t.Errorf("it is there: %t, %v", has, err)
			}
			if _, err := oci.CopyBlob(t.Context(), source, target, desc, oci.CopyOptions{}); err != nil {
				t.Errorf("later: %v", err)
			}
		})
	}
	_, desc := random(t, 100)
	_, err := oci.CopyBlob(t.Context(), wrong{with(t, ours, "a")}, within(t, ours, "c", "guessed", nil), desc, oci.CopyOptions{})
	if !errors.Is(err, oci.ErrUnauthorized) || oci.SideOf(err) != oci.Target {
		t.Errorf("another password: %v of side %q", err, oci.SideOf(err))
	}
}

// pushList pushes images of two formats, and a list of them.
func pushList(t *testing.T, source *oci.Repository, tag string) {
	t.Helper()
	var entries []string
	for _, mediaType := range []string{oci.MediaTypeManifest, "application/vnd.docker.distribution.manifest.v2+json"} {
		config, desc := random(t, 100)
		store(t, source, config, desc)
		layer, other := random(t, 1000)
		store(t, source, layer, other)
		// The spelling is nobody's but this one's.
		body := fmt.Appendf(nil, "{\"schemaVersion\": 2,\n \"mediaType\":%q,\"config\":{\"mediaType\":\"application/vnd.docker.container.image.v1+json\",\"digest\":%q,\"size\":100},"+
			"\"layers\":[{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"digest\":%q,\"size\":1000}]}\n", mediaType, desc.Digest, other.Digest)
		d, err := source.PushManifest(t.Context(), mediaType, body, digest.FromBytes(body).String())
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"platform":{"os":"linux","architecture":"arm%d"}}`, mediaType, d, len(body), len(entries)))
	}
	list := fmt.Appendf(nil, `{"schemaVersion":2, "mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[%s]}`, strings.Join(entries, ", "))
	if _, err := source.PushManifest(t.Context(), "application/vnd.docker.distribution.manifest.list.v2+json", list, tag); err != nil {
		t.Fatal(err)
	}
}

// TestTrees stores an image for several platforms in registries of every make, byte by byte.
func TestTrees(t *testing.T) {
	for _, to := range []string{ours, distribution, gcr} {
		t.Run(to, func(t *testing.T) {
			source, target := with(t, distribution, "a"), with(t, to, "b")
			pushList(t, source, "1.0.0")
			tree, err := oci.ReadTree(t.Context(), source, "1.0.0", oci.TreeLimits{})
			if err != nil || len(tree.Manifests) != 3 || len(tree.Blobs) != 4 {
				t.Fatalf("%+v, %v", tree, err)
			}
			for _, b := range tree.Blobs {
				if _, err := oci.CopyBlob(t.Context(), source, target, b, oci.CopyOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := oci.PushTree(t.Context(), target, tree, "1.0.0"); err != nil {
				t.Fatal(err)
			}
			copied, err := oci.ReadTree(t.Context(), target, "1.0.0", oci.TreeLimits{})
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range tree.Manifests {
				if got := copied.Manifests[i]; got.MediaType != m.MediaType || got.Digest != m.Digest || !bytes.Equal(got.Bytes, m.Bytes) {
					t.Errorf("manifest %d is %+v, want %+v", i, got, m)
				}
			}
		})
	}
}

// TestConditions lists tags and reads manifests that are known without their being sent.
func TestConditions(t *testing.T) {
	for name, want := range map[string]string{ours: "map[manifest:1 tags:1]", distribution: "map[manifest:1]"} {
		same := map[string]int{}
		memory := oci.NewMemory(oci.MemoryOptions{Answered: func(kind string, s bool) {
			if s {
				same[kind]++
			}
		}})
		r := within(t, name, "a", registry(t, name).Password, memory)
		content, desc := random(t, 10)
		store(t, r, content, desc)
		body := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/x","digest":%q,"size":10},"layers":[]}`, oci.MediaTypeManifest, desc.Digest)
		for _, tag := range []string{"1.0.0", "1.1.0"} {
			if _, err := r.PushManifest(t.Context(), oci.MediaTypeManifest, body, tag); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if tags, err := r.Tags(t.Context()); len(tags) != 2 || err != nil {
				t.Errorf("%s: %v, %v", name, tags, err)
			}
			if m, err := r.Manifest(t.Context(), "1.0.0"); err != nil || !bytes.Equal(m.Bytes, body) {
				t.Errorf("%s: %+v, %v", name, m, err)
			}
		}
		if fmt.Sprint(same) != want {
			t.Errorf("%s: %v was known, want %s", name, same, want)
		}
	}
}
