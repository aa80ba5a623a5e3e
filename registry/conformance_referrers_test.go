package registry_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// refer pushes an artifact about a subject.
func (s *spec) refer(subject ocispec.Descriptor, artifactType, note string) digest.Digest {
	s.t.Helper()
	m := ocispec.Manifest{
		MediaType: imageType, ArtifactType: artifactType, Config: s.blob("{}"), Layers: []ocispec.Descriptor{}, Subject: &subject,
		Annotations: map[string]string{"note": note},
	}
	m.Config.MediaType, m.SchemaVersion = ocispec.MediaTypeEmptyJSON, 2
	body, err := json.Marshal(m)
	if err != nil {
		s.t.Fatal(err)
	}
	s.has(s.put(digest.FromBytes(body).String(), body), "Oci-Subject", subject.Digest.String())
	return digest.FromBytes(body)
}

// referrers follows the pages of a list of referrers.
func (s *spec) referrers(subject digest.Digest, query url.Values) (found []ocispec.Descriptor) {
	s.t.Helper()
	filtered := ""
	if query.Has("artifactType") {
		filtered = "artifactType"
	}
	for path := s.in("/referrers/" + subject.String() + "?" + query.Encode()); path != ""; {
		r := s.expect(200, "", "GET", path, nil)
		s.has(r, "Content-Type", indexType, "Oci-Filters-Applied", filtered)
		var index ocispec.Index
		if err := json.Unmarshal(r.body, &index); err != nil || index.SchemaVersion != 2 || index.MediaType != indexType || index.Manifests == nil {
			s.t.Fatalf("no index: %v, %s", err, r.body)
		}
		found = append(found, index.Manifests...)
		path = s.next(r)
	}
	return found
}

// referrerRules are those of the API of referrers.
func referrerRules() []rule {
	missing := ocispec.Descriptor{MediaType: imageType, Digest: digest.FromString("missing"), Size: 7}
	return []rule{
		{"referrers", "none", "an empty index, and never 404", func(s *spec) {
			for _, subject := range []digest.Digest{missing.Digest, digest.SHA512.FromString("x")} {
				if got := s.referrers(subject, nil); len(got) > 0 {
					s.t.Errorf("found %v", got)
				}
				s.same(s.in("/referrers/" + subject.String()))
			}
			s.expect(400, "DIGEST_INVALID", "GET", s.in("/referrers/sha256:x"), nil)
			s.expect(400, "DIGEST_INVALID", "GET", s.in("/referrers/v1"), nil)
		}},
		{"referrers", "listed", "with type, size, annotations and the type of the artifact", func(s *spec) {
			subject, body := s.image("subject")
			s.put("v1", body)
			one := s.refer(subject, "application/vnd.example.a", "one")
			got := s.referrers(subject.Digest, nil)
			if len(got) != 1 || got[0].Digest != one || got[0].MediaType != imageType || got[0].ArtifactType != "application/vnd.example.a" || got[0].Annotations["note"] != "one" || got[0].Size == 0 {
				s.t.Errorf("found %+v", got)
			}
			// Without a type of its own an artifact has that of its config.
			plain := s.refer(subject, "", "two")
			if !slices.ContainsFunc(s.referrers(subject.Digest, nil), func(d ocispec.Descriptor) bool {
				return d.Digest == plain && d.ArtifactType == ocispec.MediaTypeEmptyJSON
			}) {
				s.t.Error("the type of the config is not the type of the artifact")
			}
		}},
		{"referrers", "an index refers", "indexes may have a subject, too", func(s *spec) {
			subject, body := s.image("subject")
			s.put("v1", body)
			index := s.index(&subject, "application/vnd.example.index")
			s.has(s.expect(201, "", "PUT", s.in("/manifests/i"), index, "Content-Type", indexType), "Oci-Subject", subject.Digest.String())
			got := s.referrers(subject.Digest, url.Values{"artifactType": {"application/vnd.example.index"}})
			if len(got) != 1 || got[0].MediaType != indexType {
				s.t.Errorf("found %+v", got)
			}
		}},
		{"referrers", "subject missing", "a signature may come before what it signs", func(s *spec) {
			d := s.refer(missing, "application/vnd.example", "early")
			if got := s.referrers(missing.Digest, nil); len(got) != 1 || got[0].Digest != d {
				s.t.Errorf("found %+v", got)
			}
			s.expect(404, "MANIFEST_UNKNOWN", "GET", s.in("/manifests/"+missing.Digest.String()), nil)
		}},
		{"referrers", "filter", "by type, over pages, and the answer says that it was applied", func(s *spec) {
			for i := range 6 {
				s.refer(missing, fmt.Sprintf("application/vnd.example.%d+x", i%2), strconv.Itoa(i))
			}
			for _, n := range []string{"", "1", "2", "6"} {
				query := url.Values{}
				if n != "" {
					query.Set("n", n)
				}
				if got := s.referrers(missing.Digest, query); len(got) != 6 {
					s.t.Errorf("n=%s: found %d", n, len(got))
				}
				query.Set("artifactType", "application/vnd.example.1+x")
				got := s.referrers(missing.Digest, query)
				if len(got) != 3 || slices.ContainsFunc(got, func(d ocispec.Descriptor) bool { return d.ArtifactType != "application/vnd.example.1+x" }) {
					s.t.Errorf("n=%s: filtered %+v", n, got)
				}
			}
			if got := s.referrers(missing.Digest, url.Values{"artifactType": {"none"}}); len(got) != 0 {
				s.t.Errorf("found %+v", got)
			}
		}},
		{"referrers", "deleted", "what is deleted is not listed, and the subject may be deleted without them", func(s *spec) {
			subject, body := s.image("subject")
			s.put("v1", body)
			one, two := s.refer(subject, "a/b", "one"), s.refer(subject, "a/b", "two")
			s.expect(202, "", "DELETE", s.in("/manifests/"+one.String()), nil)
			if got := s.referrers(subject.Digest, nil); len(got) != 1 || got[0].Digest != two {
				s.t.Errorf("found %+v", got)
			}
			s.expect(202, "", "DELETE", s.in("/manifests/"+subject.Digest.String()), nil)
			if got := s.referrers(subject.Digest, nil); len(got) != 1 {
				s.t.Errorf("found %+v", got)
			}
		}},
		{"referrers", "of this repository", "another one has its own", func(s *spec) {
			s.refer(missing, "a/b", "here")
			s.repo += "/other"
			if got := s.referrers(missing.Digest, nil); len(got) != 0 {
				s.t.Errorf("found %+v", got)
			}
		}},
	}
}

// deletionRules are those of content management.
func deletionRules() []rule {
	gone := func(s *spec, ref string) {
		s.t.Helper()
		s.expect(404, "MANIFEST_UNKNOWN", "GET", s.in("/manifests/"+ref), nil)
		s.expect(404, "MANIFEST_UNKNOWN", "DELETE", s.in("/manifests/"+ref), nil)
	}
	return []rule{
		{"deletion", "tag", "the manifest stays", func(s *spec) {
			desc, body := s.image("layer")
			s.put("v1", body)
			s.put("v2", body)
			s.expect(202, "", "DELETE", s.in("/manifests/v1"), nil)
			gone(s, "v1")
			s.expect(200, "", "GET", s.in("/manifests/v2"), nil)
			s.expect(200, "", "GET", s.in("/manifests/"+desc.Digest.String()), nil)
			s.is(s.expect(200, "", "GET", s.in("/tags/list"), nil), `{"name":"`+s.repo+`","tags":["v2"]}`)
		}},
		{"deletion", "manifest", "its tags go, too", func(s *spec) {
			desc, body := s.image("layer")
			s.put("v1", body)
			s.expect(202, "", "DELETE", s.in("/manifests/"+desc.Digest.String()), nil)
			gone(s, desc.Digest.String())
			gone(s, "v1")
			s.expect(404, "NAME_UNKNOWN", "GET", s.in("/tags/list"), nil)
		}},
		{"deletion", "sha512", "by the digest that it was pushed with", func(s *spec) {
			_, body := s.image("layer")
			d := digest.SHA512.FromBytes(body)
			s.put(d.String(), body)
			s.expect(202, "", "DELETE", s.in("/manifests/"+d.String()), nil)
			gone(s, d.String())
		}},
		{"deletion", "blob", "at once, and only here", algorithms(func(s *spec, of func(string) digest.Digest) {
			d := of("unused")
			s.expect(201, "", "POST", s.in("/blobs/uploads/?digest="+d.String()), []byte("unused"))
			s.expect(201, "", "POST", "/v2/"+s.repo+"/other/blobs/uploads/?digest="+d.String(), []byte("unused"))
			s.expect(202, "", "DELETE", s.in("/blobs/"+d.String()), nil)
			s.absent(d)
			s.expect(404, "BLOB_UNKNOWN", "DELETE", s.in("/blobs/"+d.String()), nil)
			s.is(s.expect(200, "", "GET", "/v2/"+s.repo+"/other/blobs/"+d.String(), nil), "unused")
		})},
		{"deletion", "blob in use", "a manifest must not lose what it names", func(s *spec) {
			desc, body := s.image("layer")
			s.put("v1", body)
			layer := digest.FromString("layer")
			s.has(s.expect(405, "UNSUPPORTED", "DELETE", s.in("/blobs/"+layer.String()), nil), "Allow", "GET, HEAD")
			s.there("layer", layer)
			s.expect(202, "", "DELETE", s.in("/manifests/"+desc.Digest.String()), nil)
			s.expect(202, "", "DELETE", s.in("/blobs/"+layer.String()), nil)
			s.absent(layer)
		}},
		{"deletion", "unknown", "404", func(s *spec) {
			d := digest.FromString("x").String()
			for _, ref := range []string{"v1", d, ".bad", "sha256:bad"} {
				s.expect(404, "MANIFEST_UNKNOWN", "DELETE", s.in("/manifests/"+ref), nil)
			}
			s.expect(404, "BLOB_UNKNOWN", "DELETE", s.in("/blobs/"+d), nil)
			s.expect(400, "DIGEST_INVALID", "DELETE", s.in("/blobs/x"), nil)
		}},
		{"deletion", "and pushed again", "it is as if it had never gone", func(s *spec) {
			desc, body := s.image("layer")
			for range 3 {
				s.image("layer")
				s.put("v1", body)
				s.expect(202, "", "DELETE", s.in("/manifests/"+desc.Digest.String()), nil)
				s.expect(202, "", "DELETE", s.in("/blobs/"+digest.FromString("layer").String()), nil)
			}
			s.image("layer")
			s.put("v1", body)
			s.there("layer", digest.FromString("layer"))
		}},
	}
}
