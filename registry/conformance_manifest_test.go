package registry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

const indexType = ocispec.MediaTypeImageIndex

func (s *spec) index(subject *ocispec.Descriptor, artifactType string, children ...ocispec.Descriptor) []byte {
	s.t.Helper()
	m := ocispec.Index{MediaType: indexType, ArtifactType: artifactType, Manifests: append([]ocispec.Descriptor{}, children...), Subject: subject}
	m.SchemaVersion = 2
	body, err := json.Marshal(m)
	if err != nil {
		s.t.Fatal(err)
	}
	return body
}

// manifestRules are those of pushing manifests.
func manifestRules() []rule {
	return append(badManifestRules(), []rule{
		{"manifests", "by tag and digest", "the location is where it is", func(s *spec) {
			desc, body := s.image("layer")
			for _, ref := range []string{"v1", "latest", desc.Digest.String(), strings.Repeat("t", 128), "_under", "0.1-a_B"} {
				r := s.put(ref, body)
				s.has(r, "Docker-Content-Digest", desc.Digest.String(), "Content-Length", "0", "Oci-Subject", "")
				got := s.expect(200, "", "GET", r.Header.Get("Location"), nil)
				s.is(got, string(body))
				s.has(got, "Content-Type", imageType)
			}
		}},
		{"manifests", "byte for byte", "spaces, order and unknown fields belong to what was signed", func(s *spec) {
			config := s.blob("{}")
			body := fmt.Appendf(nil, "\n{ \"zz\": {\"x\": [1]},\t\"schemaVersion\": 2,\n \"layers\": [],  \"config\": {\"size\": 2, \"unknown\": true, \"digest\": %q, \"mediaType\": \"a/b\"} }\n", config.Digest)
			s.put("v1", body)
			s.is(s.expect(200, "", "GET", s.in("/manifests/v1"), nil), string(body))
		}},
		{"manifests", "sha512", "by digest, and by tag with the digest as a parameter", func(s *spec) {
			_, body := s.image("layer")
			d := digest.SHA512.FromBytes(body)
			s.has(s.put(d.String(), body), "Docker-Content-Digest", d.String())
			s.has(s.put("v1?digest="+d.String(), body), "Docker-Content-Digest", d.String())
			for _, ref := range []string{"v1", d.String()} {
				s.has(s.expect(200, "", "GET", s.in("/manifests/"+ref), nil), "Docker-Content-Digest", d.String())
			}
			s.expect(404, "MANIFEST_UNKNOWN", "GET", s.in("/manifests/"+digest.FromBytes(body).String()), nil)
			s.expect(400, "DIGEST_INVALID", "PUT", s.in("/manifests/v2?digest="+digest.SHA512.FromString("x").String()), body, "Content-Type", imageType)
			s.expect(400, "DIGEST_INVALID", "PUT", s.in("/manifests/v2?digest=sha512:x"), body, "Content-Type", imageType)
		}},
		{"manifests", "blobs by sha512", "a manifest may name them so", func(s *spec) {
			content := "by another name"
			d := digest.SHA512.FromString(content)
			s.expect(201, "", "POST", s.in("/blobs/uploads/?digest="+d.String()), []byte(content))
			layer := ocispec.Descriptor{MediaType: octets, Digest: d, Size: int64(len(content))}
			s.put("v1", manifest(s.t, nil, s.blob("{}"), layer))
			s.expect(400, "MANIFEST_BLOB_UNKNOWN", "PUT", s.in("/manifests/v2"), manifest(s.t, nil, s.blob("{}"), ocispec.Descriptor{Digest: digest.FromString(content), Size: layer.Size}), "Content-Type", imageType)
		}},
		{"manifests", "many tags at once", "one request, one manifest, and the answer tells which tags it has", func(s *spec) {
			desc, body := s.image("layer")
			r := s.put(desc.Digest.String()+"?tag=a&tag=b&tag=c", body)
			if diff := cmp.Diff([]string{"a", "b", "c"}, r.Header.Values("OCI-Tag")); diff != "" {
				s.t.Errorf("tags (-want +got):\n%s", diff)
			}
			for _, tag := range []string{"a", "b", "c"} {
				s.has(s.expect(200, "", "GET", s.in("/manifests/"+tag), nil), "Docker-Content-Digest", desc.Digest.String())
			}
			s.expect(400, "MANIFEST_INVALID", "PUT", s.in("/manifests/"+desc.Digest.String()+"?"+strings.Repeat("tag=x&", 101)), body, "Content-Type", imageType)
			s.expect(400, "MANIFEST_INVALID", "PUT", s.in("/manifests/"+desc.Digest.String()+"?tag=d&tag=.e"), body, "Content-Type", imageType)
			s.expect(404, "MANIFEST_UNKNOWN", "GET", s.in("/manifests/d"), nil)
		}},
		{"manifests", "no layers", "an artifact may be all in its annotations", func(s *spec) {
			_, body := s.image()
			s.put("v1", body)
		}},
		{"manifests", "layers elsewhere", "what may not be distributed is not asked for", func(s *spec) {
			layer := ocispec.Descriptor{MediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Digest: digest.FromString("far"), Size: 123, URLs: []string{"https://store.example.com/far"}}
			s.put("v1", manifest(s.t, nil, s.blob("{}"), layer))
		}},
		{"manifests", "index", "of images, of indexes, and of nothing", func(s *spec) {
			image, body := s.image("layer")
			s.put(image.Digest.String(), body)
			inner := s.index(nil, "", image)
			desc := ocispec.Descriptor{MediaType: indexType, Digest: digest.FromBytes(inner), Size: int64(len(inner))}
			for tag, body := range map[string][]byte{"empty": s.index(nil, ""), "inner": inner} {
				s.expect(201, "", "PUT", s.in("/manifests/"+tag), body, "Content-Type", indexType)
			}
			outer := s.index(nil, "application/vnd.example", desc, image)
			s.expect(201, "", "PUT", s.in("/manifests/outer"), outer, "Content-Type", indexType)
			s.has(s.expect(200, "", "GET", s.in("/manifests/outer"), nil), "Content-Type", indexType)
		}},
		{"manifests", "a tag moves", "and moves back", func(s *spec) {
			one, first := s.image("one")
			two, second := s.image("two")
			s.put("v", first)
			s.put("v", second)
			s.has(s.expect(200, "", "GET", s.in("/manifests/v"), nil), "Docker-Content-Digest", two.Digest.String())
			s.put("v", first)
			s.has(s.expect(200, "", "GET", s.in("/manifests/v"), nil), "Docker-Content-Digest", one.Digest.String())
			s.expect(200, "", "GET", s.in("/manifests/"+two.Digest.String()), nil)
		}},
		{"manifests", "large", "up to 4 MiB; what is more is refused before it is sent", func(s *spec) {
			config := s.blob("{}")
			frame := func(n int) []byte {
				return fmt.Appendf(nil, `{"schemaVersion":2,"config":{"digest":%q,"size":2},"layers":[],"annotations":{"a":%q}}`, config.Digest, strings.Repeat("x", n))
			}
			body := frame(store.MaxManifestBytes - len(frame(0)))
			if len(body) != store.MaxManifestBytes {
				s.t.Fatalf("%d bytes", len(body))
			}
			s.put("large", body)
			r := s.expect(200, "", "GET", s.in("/manifests/large"), nil)
			s.has(r, "Content-Length", strconv.Itoa(len(body)))
			if !bytes.Equal(r.body, body) {
				s.t.Error("it is another one")
			}
			s.expect(413, "SIZE_INVALID", "PUT", s.in("/manifests/larger"), append(body, ' '), "Content-Type", imageType)
			s.expect(413, "SIZE_INVALID", "PUT", s.in("/manifests/larger"), append(body, ' '), "Content-Type", imageType, "Transfer-Encoding", "chunked")
		}},
	}...)
}

func badManifestRules() []rule {
	return []rule{
		{"manifests", "what they name is here", "a manifest without its blobs can't be pulled", func(s *spec) {
			here, absent := s.blob("{}"), ocispec.Descriptor{MediaType: octets, Digest: digest.FromString("absent"), Size: 6}
			longer := here
			longer.Size++
			for _, body := range [][]byte{manifest(s.t, nil, absent), manifest(s.t, nil, here, absent), manifest(s.t, nil, here, longer)} {
				s.expect(400, "MANIFEST_BLOB_UNKNOWN", "PUT", s.in("/manifests/v1"), body, "Content-Type", imageType)
			}
			child := ocispec.Descriptor{MediaType: imageType, Digest: digest.FromString("absent"), Size: 6}
			s.expect(400, "MANIFEST_BLOB_UNKNOWN", "PUT", s.in("/manifests/v1"), s.index(nil, "", child), "Content-Type", indexType)
			s.expect(404, "MANIFEST_UNKNOWN", "GET", s.in("/manifests/v1"), nil)
		}},
		{"manifests", "what they name is readable", "a blob of another repository is no blob of this one", func(s *spec) {
			other := s.blobTo(s.repo+"/other", "private")
			s.expect(400, "MANIFEST_BLOB_UNKNOWN", "PUT", s.in("/manifests/v1"), manifest(s.t, nil, s.blob("{}"), other), "Content-Type", imageType)
		}},
		{"manifests", "refused", "what is no manifest, or could be two, is not kept", func(s *spec) {
			_, good := s.image("layer")
			text := string(good)
			for name, bad := range map[string]struct{ kind, body string }{
				"no type": {"", text}, "no such type": {"text/plain", text}, "another type": {indexType, text}, "broken type": {"a/b/c", text},
				"nothing": {imageType, ""}, "no JSON": {imageType, "{"}, "a list": {imageType, "[]"}, "null": {imageType, "null"}, "more after it": {imageType, text + "{}"},
				"version 1": {imageType, strings.Replace(text, `"schemaVersion":2`, `"schemaVersion":1`, 1)},
				"key twice": {imageType, strings.Replace(text, `"layers":[`, `"layers":[],"layers":[`, 1)},
				"both":      {imageType, strings.Replace(text, `"layers":[`, `"manifests":[],"layers":[`, 1)},
				"no digest": {imageType, `{"schemaVersion":2,"config":{"digest":"x","size":1},"layers":[]}`},
				"negative":  {imageType, fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":%q,"size":-1},"layers":[]}`, digest.FromString("x"))},
			} {
				r := s.do("PUT", s.in("/manifests/bad"), []byte(bad.body), "Content-Type", bad.kind)
				if r.StatusCode != http.StatusBadRequest || r.code() != "MANIFEST_INVALID" {
					s.t.Errorf("%s: %s %s", name, r.Status, r.body)
				}
			}
			s.expect(404, "MANIFEST_UNKNOWN", "GET", s.in("/manifests/bad"), nil)
		}},
		{"manifests", "reference", "a tag or a digest, and the digest of this manifest", func(s *spec) {
			_, body := s.image("layer")
			for _, bad := range []string{".x", "-x", "a+b", "ä", strings.Repeat("t", 129)} {
				s.expect(400, "MANIFEST_INVALID", "PUT", s.in("/manifests/"+bad), body, "Content-Type", imageType)
			}
			for _, bad := range []string{"sha256:baddigeststring", "md5:d41d8cd98f00b204e9800998ecf8427e", digest.FromString("x").String(), digest.SHA512.FromString("x").String(), "v1?digest=" + digest.FromString("x").String()} {
				s.expect(400, "DIGEST_INVALID", "PUT", s.in("/manifests/"+bad), body, "Content-Type", imageType)
			}
			d := digest.FromBytes(body).String()
			s.expect(400, "DIGEST_INVALID", "PUT", s.in("/manifests/"+d), append(body, ' '), "Content-Type", imageType)
			s.expect(404, "MANIFEST_UNKNOWN", "GET", s.in("/manifests/"+d), nil)
		}},
	}
}

// listRules are those of content discovery.
func listRules() []rule {
	type page struct {
		Name         string   `json:"name"`
		Tags         []string `json:"tags"`
		Repositories []string `json:"repositories"`
	}
	// walk follows the links of a list and returns what each page has.
	walk := func(s *spec, path string) (pages [][]string) {
		s.t.Helper()
		for path != "" {
			r := s.expect(200, "", "GET", path, nil)
			s.has(r, "Content-Type", "application/json")
			var p page
			if err := json.Unmarshal(r.body, &p); err != nil {
				s.t.Fatal(err)
			}
			pages = append(pages, append(p.Tags, p.Repositories...))
			path = s.next(r)
		}
		return pages
	}
	tagged := func(s *spec, tags ...string) {
		s.t.Helper()
		desc, body := s.image()
		s.put(desc.Digest.String()+"?tag="+strings.Join(tags, "&tag="), body)
	}
	return []rule{
		{"tags", "in ASCII order", "capitals come first", func(s *spec) {
			tagged(s, "b", "B", "a", "_", "10", "9", "a-b", "a.b")
			r := s.expect(200, "", "GET", s.in("/tags/list"), nil)
			s.is(r, `{"name":"`+s.repo+`","tags":["10","9","B","_","a","a-b","a.b","b"]}`)
			s.has(r, "Link", "")
			s.same(s.in("/tags/list"))
		}},
		{"tags", "pages", "n bounds a page, and a link leads on while there is more", func(s *spec) {
			tagged(s, "a", "b", "c", "d", "e")
			for n, want := range map[int][][]string{
				1: {{"a"}, {"b"}, {"c"}, {"d"}, {"e"}}, 2: {{"a", "b"}, {"c", "d"}, {"e"}}, 5: {{"a", "b", "c", "d", "e"}}, 99: {{"a", "b", "c", "d", "e"}},
			} {
				if diff := cmp.Diff(want, walk(s, s.in("/tags/list?n="+strconv.Itoa(n)))); diff != "" {
					s.t.Errorf("n=%d (-want +got):\n%s", n, diff)
				}
			}
			s.same(s.in("/tags/list?n=2"))
		}},
		{"tags", "not changed", "who has a page is told whether it is the same still", func(s *spec) {
			tagged(s, "a", "b")
			all, first := s.in("/tags/list"), s.in("/tags/list?n=2")
			etag := func(path string) string { return s.expect(200, "", "GET", path, nil).Header.Get("Etag") }
			whole, page := etag(all), etag(first)
			s.is(s.expect(304, "", "GET", all, nil, "If-None-Match", whole), "")
			s.same(all, "If-None-Match", whole)
			tagged(s, "c")
			s.expect(200, "", "GET", all, nil, "If-None-Match", whole)
			// The page has the same tags, but now there is one after it.
			s.expect(200, "", "GET", first, nil, "If-None-Match", page)
			r := s.expect(304, "", "GET", first, nil, "If-None-Match", etag(first))
			if r.Header.Get("Link") == "" {
				s.t.Error("no link with a page that has not changed")
			}
		}},
		{"tags", "n=0", "nothing, and nowhere to go on", func(s *spec) {
			tagged(s, "a", "b")
			for _, query := range []string{"?n=0", "?n=0&last=a"} {
				r := s.expect(200, "", "GET", s.in("/tags/list"+query), nil)
				s.is(r, `{"name":"`+s.repo+`","tags":[]}`)
				s.has(r, "Link", "")
			}
		}},
		{"tags", "last", "a list goes on after it, whether it is there or not", func(s *spec) {
			tagged(s, "a", "c", "e")
			for last, want := range map[string][][]string{"a": {{"c", "e"}}, "b": {{"c", "e"}}, "e": {{}}, "z": {{}}, "": {{"a", "c", "e"}}, "%2F%00": {{"a", "c", "e"}}} {
				if diff := cmp.Diff(want, walk(s, s.in("/tags/list?last="+last))); diff != "" {
					s.t.Errorf("last=%s (-want +got):\n%s", last, diff)
				}
			}
			if got := walk(s, s.in("/tags/list?n=1&last=a")); !slices.EqualFunc(got, [][]string{{"c"}, {"e"}}, slices.Equal) {
				s.t.Errorf("pages %v", got)
			}
		}},
		{"tags", "no number", "n is a number that is not negative", func(s *spec) {
			tagged(s, "a")
			for _, n := range []string{"-1", "x", "1.5", "99999999999999999999"} {
				s.expect(400, "UNSUPPORTED", "GET", s.in("/tags/list?n="+n), nil)
			}
		}},
		{"tags", "none", "a repository that has none is not one without", func(s *spec) {
			s.expect(404, "NAME_UNKNOWN", "GET", s.in("/tags/list"), nil)
			desc, body := s.image()
			s.put(desc.Digest.String(), body)
			s.is(s.expect(200, "", "GET", s.in("/tags/list"), nil), `{"name":"`+s.repo+`","tags":[]}`)
		}},
		{"catalog", "pages", "repositories in order, those that have a manifest", func(s *spec) {
			root := s.repo
			for _, name := range []string{"a", "b", "c"} {
				s.repo = root + "/" + name
				tagged(s, "v1")
			}
			s.blobTo(root+"/only-blobs", "x")
			want := []string{root + "/a", root + "/b", root + "/c"}
			var got []string
			for _, some := range walk(s, "/v2/_catalog?n=2&last="+root) {
				if len(some) > 2 {
					s.t.Errorf("a page of %d", len(some))
				}
				got = append(got, some...)
			}
			if got = slices.DeleteFunc(got, func(name string) bool { return !strings.HasPrefix(name, root) }); !slices.Equal(got, want) {
				s.t.Errorf("repositories %v", got)
			}
			s.is(s.expect(200, "", "GET", "/v2/_catalog?n=0", nil), `{"repositories":[]}`)
			s.expect(400, "UNSUPPORTED", "GET", "/v2/_catalog?n=-1", nil)
		}},
	}
}

// next is where a list goes on; empty at its end.
func (s *spec) next(r reply) string {
	s.t.Helper()
	link := r.Header.Get("Link")
	if link == "" {
		return ""
	}
	target, rel, found := strings.Cut(strings.TrimPrefix(link, "<"), ">; ")
	if !found || rel != `rel="next"` {
		s.t.Fatalf("the link is %q", link)
	}
	return target
}
