package registry_test

import (
	"fmt"
	"mime"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// pullRules are those of the section "Pull".
func pullRules() []rule {
	return append(rangeRules(), []rule{
		{"pull", "manifest", "by tag and by digest, with its type, length and digest", func(s *spec) {
			desc, body := s.image("layer")
			s.put("v1", body)
			for _, ref := range []string{"v1", desc.Digest.String(), "sha256%3A" + desc.Digest.Encoded()} {
				r := s.expect(200, "", "GET", s.in("/manifests/"+ref), nil, "Accept", imageType)
				s.is(r, string(body))
				s.has(r, "Content-Type", imageType, "Docker-Content-Digest", desc.Digest.String(), "Content-Length", strconv.Itoa(len(body)), "Etag", `"`+desc.Digest.String()+`"`)
			}
			s.same(s.in("/manifests/v1"))
			s.same(s.in("/manifests/" + desc.Digest.String()))
		}},
		{"pull", "manifest, any accept", "what is stored is served as it is, whatever else a client could read", func(s *spec) {
			_, body := s.image()
			s.put("v1", body)
			for _, accept := range []string{"", "*/*", "application/json", ocispec.MediaTypeImageIndex, imageType + ", " + ocispec.MediaTypeImageIndex + ";q=0.5"} {
				s.has(s.expect(200, "", "GET", s.in("/manifests/v1"), nil, "Accept", accept), "Content-Type", imageType)
			}
		}},
		{"pull", "manifest, conditions", "who has it does not need it again", func(s *spec) {
			desc, body := s.image()
			s.put("v1", body)
			etag := `"` + desc.Digest.String() + `"`
			for _, match := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
				r := s.expect(304, "", "GET", s.in("/manifests/v1"), nil, "If-None-Match", match)
				s.is(r, "")
				s.same(s.in("/manifests/v1"), "If-None-Match", match)
			}
			s.expect(200, "", "GET", s.in("/manifests/v1"), nil, "If-None-Match", `"other"`)
			s.expect(412, "UNSUPPORTED", "GET", s.in("/manifests/v1"), nil, "If-Match", `"other"`)
		}},
		{"pull", "manifest unknown", "404, by tag, by digest, and where there is no repository", func(s *spec) {
			_, body := s.image()
			s.put("v1", body)
			for _, ref := range []string{"v2", digest.FromString("x").String(), digest.SHA512.FromString("x").String(), ".bad", "sha256:bad", "md5:d41d8cd98f00b204e9800998ecf8427e"} {
				s.expect(404, "MANIFEST_UNKNOWN", "GET", s.in("/manifests/"+ref), nil)
				s.same(s.in("/manifests/" + ref))
			}
			s.expect(404, "MANIFEST_UNKNOWN", "GET", "/v2/spec/nobody/manifests/v1", nil)
		}},
		{"pull", "blob", "with its length and digest, and the same for HEAD", func(s *spec) {
			for _, content := range []string{"", "{}", strings.Repeat("x", 100_000)} {
				desc := s.blob(content)
				r := s.expect(200, "", "GET", s.in("/blobs/"+desc.Digest.String()), nil)
				s.is(r, content)
				s.has(r, "Content-Length", strconv.Itoa(len(content)), "Docker-Content-Digest", desc.Digest.String(), "Content-Type", octets, "Accept-Ranges", "bytes")
				s.same(s.in("/blobs/" + desc.Digest.String()))
			}
		}},
		{"pull", "blob, conditions", "a blob never changes", func(s *spec) {
			desc := s.blob("content")
			path, etag := s.in("/blobs/"+desc.Digest.String()), `"`+desc.Digest.String()+`"`
			s.is(s.expect(304, "", "GET", path, nil, "If-None-Match", etag), "")
			s.same(path, "If-None-Match", etag)
			s.expect(412, "UNSUPPORTED", "GET", path, nil, "If-Match", `"other"`)
		}},
		{"pull", "blob unknown", "404, also when another repository has it", func(s *spec) {
			s.blobTo(s.repo+"/other", "of another")
			for _, content := range []string{"of another", "of nobody"} {
				path := s.in("/blobs/" + digest.FromString(content).String())
				s.expect(404, "BLOB_UNKNOWN", "GET", path, nil)
				s.same(path)
			}
		}},
		{"pull", "blob, no digest", "a digest that can't be is an error of the client", func(s *spec) {
			for _, bad := range []string{"x", "sha256:", "sha256:xyz", "md5:d41d8cd98f00b204e9800998ecf8427e", strings.ToUpper(digest.FromString("x").String()), "sha512:" + digest.FromString("x").Encoded()} {
				s.expect(400, "DIGEST_INVALID", "GET", s.in("/blobs/"+bad), nil)
				s.same(s.in("/blobs/" + bad))
			}
		}},
	}...)
}

func rangeRules() []rule {
	const content = "0123456789abcdefghijklmnopqrstuvwxyz"
	n := len(content)
	return []rule{
		{"pull", "ranges", "a client goes on where its connection broke", func(s *spec) {
			path := s.in("/blobs/" + s.blob(content).Digest.String())
			for asked, want := range map[string][2]int{
				"bytes=0-0": {0, 1}, "bytes=2-4": {2, 5}, "bytes=30-": {30, n}, "bytes=-4": {n - 4, n}, "bytes=30-9999": {30, n}, "bytes=-9999": {0, n}, "bytes=0-": {0, n},
			} {
				r := s.expect(206, "", "GET", path, nil, "Range", asked)
				s.is(r, content[want[0]:want[1]])
				s.has(r, "Content-Range", fmt.Sprintf("bytes %d-%d/%d", want[0], want[1]-1, n), "Content-Length", strconv.Itoa(want[1]-want[0]))
			}
			for _, bad := range []string{"bytes=36-", "bytes=99-100", "bytes=5-0", "bytes=x-y", "bytes=-", "bytes=3"} {
				s.expect(416, "SIZE_INVALID", "GET", path, nil, "Range", bad)
			}
			s.has(s.expect(416, "SIZE_INVALID", "GET", path, nil, "Range", "bytes=36-"), "Content-Range", "bytes */36", "Docker-Content-Digest", "", "Etag", "")
			for _, ignored := range []string{"chars=0-1", "x", "bytes"} {
				s.is(s.expect(200, "", "GET", path, nil, "Range", ignored), content)
			}
		}},
		{"pull", "several ranges", "they come as one answer with parts", func(s *spec) {
			path := s.in("/blobs/" + s.blob(content).Digest.String())
			r := s.expect(206, "", "GET", path, nil, "Range", "bytes=0-1,5-6")
			if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "multipart/byteranges" {
				s.t.Errorf("type %q, %v", kind, err)
			}
			if got := string(r.body); !strings.Contains(got, "\r\n\r\n01\r\n") || !strings.Contains(got, "\r\n\r\n56\r\n") {
				s.t.Errorf("parts %q", got)
			}
			// Ranges that overlap would make more of the blob than there is.
			s.is(s.expect(200, "", "GET", path, nil, "Range", "bytes=0-,0-,0-,0-"), content)
		}},
		{"pull", "range, if still the same", "If-Range has the digest to compare with", func(s *spec) {
			desc := s.blob(content)
			path := s.in("/blobs/" + desc.Digest.String())
			s.is(s.expect(206, "", "GET", path, nil, "Range", "bytes=0-1", "If-Range", `"`+desc.Digest.String()+`"`), "01")
			s.is(s.expect(200, "", "GET", path, nil, "Range", "bytes=0-1", "If-Range", `"other"`), content)
		}},
		{"pull", "range of head", "a range is a matter of GET", func(s *spec) {
			path := s.in("/blobs/" + s.blob(content).Digest.String())
			s.has(s.expect(200, "", "HEAD", path, nil, "Range", "bytes=0-1"), "Content-Length", strconv.Itoa(n), "Content-Range", "")
		}},
		{"pull", "range of nothing", "an empty blob has no first byte", func(s *spec) {
			path := s.in("/blobs/" + s.blob("").Digest.String())
			s.is(s.expect(200, "", "GET", path, nil, "Range", "bytes=0-"), "")
		}},
		{"pull", "range of a manifest", "a manifest is content like any other", func(s *spec) {
			_, body := s.image("layer")
			s.put("v1", body)
			s.is(s.expect(206, "", "GET", s.in("/manifests/v1"), nil, "Range", "bytes=1-5"), string(body[1:6]))
			s.expect(416, "SIZE_INVALID", "GET", s.in("/manifests/v1"), nil, "Range", "bytes=99999-")
		}},
	}
}
