package registry_test

import (
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/auth"
)

const pushed = "0123456789abcdef"

func (s *spec) there(content string, d digest.Digest) {
	s.t.Helper()
	r := s.expect(200, "", "GET", s.in("/blobs/"+d.String()), nil)
	s.is(r, content)
	s.has(r, "Docker-Content-Digest", d.String())
}

func (s *spec) absent(d digest.Digest) {
	s.t.Helper()
	s.expect(404, "BLOB_UNKNOWN", "GET", s.in("/blobs/"+d.String()), nil)
	s.expect(404, "", "HEAD", s.in("/blobs/"+d.String()), nil)
}

// algorithms runs a check with each algorithm of digests.
func algorithms(check func(s *spec, of func(string) digest.Digest)) func(s *spec) {
	return func(s *spec) {
		s.t.Helper()
		repo := s.repo
		for _, a := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			s.repo = repo + "/" + a.String()
			check(s, a.FromString)
		}
	}
}

// uploadRules are those of pushing blobs.
func uploadRules() []rule {
	return append(chunkRules(), []rule{
		{"push", "in one request", "POST with the digest and the content", algorithms(func(s *spec, of func(string) digest.Digest) {
			for _, content := range []string{pushed, "", "{}"} {
				r := s.expect(201, "", "POST", s.in("/blobs/uploads/?digest="+of(content).String()), []byte(content), "Content-Type", octets)
				s.has(r, "Docker-Content-Digest", of(content).String())
				s.is(s.expect(200, "", "GET", r.Header.Get("Location"), nil), content)
				s.there(content, of(content))
			}
			s.expect(201, "", "POST", s.in("/blobs/uploads/?digest="+of("again").String()), []byte("again"), "Transfer-Encoding", "chunked")
			s.there("again", of("again"))
		})},
		{"push", "in two requests", "POST, and PUT with the content", algorithms(func(s *spec, of func(string) digest.Digest) {
			for _, content := range []string{pushed, ""} {
				r := s.expect(201, "", "PUT", s.end(s.begin(), of(content)), []byte(content), "Content-Type", octets)
				s.is(s.expect(200, "", "GET", r.Header.Get("Location"), nil), content)
				s.there(content, of(content))
			}
		})},
		{"push", "no slash", "some clients leave the last slash out", func(s *spec) {
			s.expect(202, "", "POST", s.in("/blobs/uploads"), nil)
		}},
		{"push", "twice", "what is there may be pushed again", func(s *spec) {
			s.blob(pushed)
			s.blob(pushed)
			s.there(pushed, digest.FromString(pushed))
		}},
		{"push", "wrong digest", "content is what its digest says, or is not there", algorithms(func(s *spec, of func(string) digest.Digest) {
			d := of("other")
			s.expect(400, "DIGEST_INVALID", "POST", s.in("/blobs/uploads/?digest="+d.String()), []byte(pushed))
			s.expect(400, "DIGEST_INVALID", "PUT", s.end(s.begin(), d), []byte(pushed))
			at := s.begin()
			at = s.expect(202, "", "PATCH", at, []byte(pushed)).Header.Get("Location")
			s.expect(400, "DIGEST_INVALID", "PUT", s.end(at, d), nil)
			s.expect(404, "BLOB_UPLOAD_UNKNOWN", "GET", at, nil)
			s.absent(d)
			s.absent(of(pushed))
		})},
		{"push", "no digest", "an upload ends with a digest that can be", func(s *spec) {
			for _, bad := range []string{"", "?digest=", "?digest=x", "?digest=sha256:x", "?digest=md5:d41d8cd98f00b204e9800998ecf8427e"} {
				at := s.begin()
				s.expect(400, "DIGEST_INVALID", "PUT", at+bad, []byte(pushed))
				// Nothing was read, and the client may say it right.
				s.expect(201, "", "PUT", s.end(at, digest.FromString(pushed)), []byte(pushed))
			}
			s.expect(400, "DIGEST_INVALID", "POST", s.in("/blobs/uploads/?digest=x"), []byte(pushed))
		}},
		{"push", "unknown upload", "404, and the client begins anew", func(s *spec) {
			for _, method := range []string{"GET", "HEAD", "PATCH", "PUT", "DELETE"} {
				s.expect(404, "BLOB_UPLOAD_UNKNOWN", method, s.end(s.in("/blobs/uploads/nobody"), digest.FromString("x")), nil)
			}
		}},
		{"push", "upload of another", "an upload belongs to its repository", func(s *spec) {
			at := s.begin()
			elsewhere := strings.Replace(at, s.repo, s.repo+"/other", 1)
			for _, method := range []string{"GET", "PATCH", "PUT", "DELETE"} {
				s.expect(404, "BLOB_UPLOAD_UNKNOWN", method, s.end(elsewhere, digest.FromString("x")), []byte("x"))
			}
			s.expect(204, "", "GET", at, nil)
		}},
		{"push", "cancelled", "what is cancelled is gone", func(s *spec) {
			at := s.expect(202, "", "PATCH", s.begin(), []byte(pushed)).Header.Get("Location")
			s.expect(204, "", "DELETE", at, nil)
			for _, method := range []string{"GET", "PATCH", "PUT", "DELETE"} {
				s.expect(404, "BLOB_UPLOAD_UNKNOWN", method, s.end(at, digest.FromString(pushed)), []byte("x"))
			}
			s.absent(digest.FromString(pushed))
		}},
		{"push", "after its end", "an upload ends once", func(s *spec) {
			at := s.begin()
			s.expect(201, "", "PUT", s.end(at, digest.FromString(pushed)), []byte(pushed))
			for _, method := range []string{"GET", "PATCH", "PUT", "DELETE"} {
				s.expect(404, "BLOB_UPLOAD_UNKNOWN", method, s.end(at, digest.FromString(pushed)), []byte("x"))
			}
			s.there(pushed, digest.FromString(pushed))
		}},
		{"push", "no permission", "nothing begins", func(s *spec) {
			s.expect(401, "UNAUTHORIZED", "POST", s.in("/blobs/uploads/"), nil, "Authorization", "")
			at := s.begin()
			for _, method := range []string{"GET", "PATCH", "PUT", "DELETE"} {
				s.expect(401, "UNAUTHORIZED", method, at, []byte("x"), "Authorization", "")
				s.expect(403, "DENIED", method, at, []byte("x"), "Authorization", s.credential(auth.Scope{Prefix: s.repo + "/"}))
			}
			s.has(s.expect(204, "", "GET", at, nil), "Range", "0-0")
		}},
	}...)
}

// chunkRules are those of pushing blobs in several requests.
func chunkRules() []rule {
	chunk := func(s *spec, at string, from, to int) string {
		s.t.Helper()
		r := s.expect(202, "", "PATCH", at, []byte(pushed[from:to]), "Content-Range", fmt.Sprintf("%d-%d", from, to-1), "Content-Type", octets)
		s.has(r, "Range", fmt.Sprintf("0-%d", to-1), "Content-Length", "0")
		return r.Header.Get("Location")
	}
	return []rule{
		{"chunks", "in order", "each says where it belongs; the last may come with the end", algorithms(func(s *spec, of func(string) digest.Digest) {
			at := chunk(s, chunk(s, s.begin(), 0, 5), 5, 16)
			s.expect(201, "", "PUT", s.end(at, of(pushed)), nil)
			s.there(pushed, of(pushed))
			at = chunk(s, chunk(s, s.begin(), 0, 1), 1, 10)
			s.expect(201, "", "PUT", s.end(at, of(pushed)), []byte(pushed[10:]), "Content-Range", "10-15")
			s.there(pushed, of(pushed))
		})},
		{"chunks", "streamed", "without a place each goes on where the last ended, also without a length", func(s *spec) {
			at := s.expect(202, "", "PATCH", s.begin(), []byte(pushed[:7]), "Transfer-Encoding", "chunked").Header.Get("Location")
			at = s.expect(202, "", "PATCH", at, []byte(pushed[7:])).Header.Get("Location")
			s.expect(201, "", "PUT", s.end(at, digest.FromString(pushed)), nil)
			s.there(pushed, digest.FromString(pushed))
		}},
		{"chunks", "out of order", "416 says where to go on, and the client can", func(s *spec) {
			at := s.begin()
			s.has(s.expect(416, "BLOB_UPLOAD_INVALID", "PATCH", at, []byte(pushed[5:]), "Content-Range", "5-15"), "Range", "0-0", "Location", at)
			at = chunk(s, at, 0, 5)
			for _, place := range []string{"0-4", "4-8", "6-15", "15-15"} {
				s.has(s.expect(416, "BLOB_UPLOAD_INVALID", "PATCH", at, []byte("x"), "Content-Range", place), "Range", "0-4", "Location", at)
				s.has(s.expect(416, "BLOB_UPLOAD_INVALID", "PUT", s.end(at, digest.FromString(pushed)), []byte("x"), "Content-Range", place), "Range", "0-4")
			}
			s.has(s.expect(204, "", "GET", s.end(at, digest.FromString(pushed)), nil), "Range", "0-4", "Location", at)
			s.expect(201, "", "PUT", s.end(chunk(s, at, 5, 16), digest.FromString(pushed)), nil)
			s.there(pushed, digest.FromString(pushed))
		}},
		{"chunks", "no place", "what is no range is refused as one out of order is", func(s *spec) {
			at := chunk(s, s.begin(), 0, 5)
			for _, bad := range []string{"x", "5", "5-", "-5", "5-x", "+5-6", "5-3", "99999999999999999999-0", "5-9223372036854775807", "5-6-7"} {
				s.has(s.expect(416, "BLOB_UPLOAD_INVALID", "PATCH", at, []byte("56"), "Content-Range", bad), "Range", "0-4")
			}
			s.expect(202, "", "PATCH", at, []byte("56"), "Content-Range", "bytes 5-6/*")
		}},
		{"chunks", "other length", "a chunk is as long as it says", func(s *spec) {
			at := chunk(s, s.begin(), 0, 5)
			s.expect(400, "SIZE_INVALID", "PATCH", at, []byte("56"), "Content-Range", "5-7")
			s.expect(400, "SIZE_INVALID", "PATCH", at, []byte("56"), "Content-Range", "5-5")
			s.has(s.expect(204, "", "GET", at, nil), "Range", "0-4")
			s.expect(201, "", "PUT", s.end(chunk(s, at, 5, 16), digest.FromString(pushed)), nil)
		}},
		{"chunks", "empty", "nothing may be sent, and changes nothing", func(s *spec) {
			at := s.expect(202, "", "PATCH", s.begin(), nil).Header.Get("Location")
			s.has(s.expect(204, "", "GET", at, nil), "Range", "0-0")
			at = chunk(s, at, 0, 5)
			s.has(s.expect(202, "", "PATCH", at, nil), "Range", "0-4")
			s.has(s.expect(202, "", "PATCH", at, nil, "Content-Range", "5-4"), "Range", "0-4")
			s.expect(201, "", "PUT", s.end(at, digest.FromString(pushed[:5])), nil)
		}},
		{"chunks", "status", "GET and HEAD tell how much is here, with no body", func(s *spec) {
			at := chunk(s, s.begin(), 0, 9)
			s.has(s.expect(204, "", "GET", at, nil), "Range", "0-8", "Location", at)
			s.same(at)
		}},
		{"chunks", "any size", "there is no least size of a chunk to be told", func(s *spec) {
			r := s.expect(202, "", "POST", s.in("/blobs/uploads/"), nil)
			s.has(r, "Oci-Chunk-Min-Length", "")
			at := r.Header.Get("Location")
			for i := range pushed {
				at = chunk(s, at, i, i+1)
			}
			s.expect(201, "", "PUT", s.end(at, digest.FromString(pushed)), nil)
		}},
	}
}

// mountRules are those of taking blobs from other repositories.
func mountRules() []rule {
	return []rule{
		{"mount", "from another", "nothing is sent", algorithms(func(s *spec, of func(string) digest.Digest) {
			d := of("mounted")
			s.expect(201, "", "POST", "/v2/"+s.repo+"/source/blobs/uploads/?digest="+d.String(), []byte("mounted"))
			s.absent(d)
			r := s.expect(201, "", "POST", s.in("/blobs/uploads/?mount="+d.String()+"&from="+s.repo+"/source"), nil)
			s.has(r, "Docker-Content-Digest", d.String())
			s.is(s.expect(200, "", "GET", r.Header.Get("Location"), nil), "mounted")
			s.there("mounted", d)
		})},
		{"mount", "what can't be", "an upload begins in its place, which can be ended", func(s *spec) {
			d := s.blobTo(s.repo+"/source", "mounted").Digest
			for _, from := range []string{"", "&from=", "&from=" + s.repo + "/nobody", "&from=../x", "&from=A"} {
				r := s.expect(202, "", "POST", s.in("/blobs/uploads/?mount="+d.String()+from), nil)
				s.has(r, "Range", "0-0")
				s.absent(d)
				s.expect(204, "", "DELETE", r.Header.Get("Location"), nil)
			}
			absent := digest.FromString("absent")
			at := s.expect(202, "", "POST", s.in("/blobs/uploads/?mount="+absent.String()+"&from="+s.repo+"/source"), nil).Header.Get("Location")
			s.expect(201, "", "PUT", s.end(at, absent), []byte("absent"))
			s.there("absent", absent)
		}},
		{"mount", "no digest", "a digest that can't be is an error of the client", func(s *spec) {
			s.expect(400, "DIGEST_INVALID", "POST", s.in("/blobs/uploads/?mount=x&from="+s.repo+"/source"), nil)
		}},
		{"mount", "no permission", "who may not read there learns not even whether it is there", func(s *spec) {
			d := s.blobTo(s.repo+"/source", "mounted").Digest
			mine := s.credential(auth.Scope{Prefix: s.repo + "/target/", Push: true})
			for _, what := range []digest.Digest{d, digest.FromString("absent")} {
				r := s.expect(202, "", "POST", s.in("/target/blobs/uploads/?mount="+what.String()+"&from="+s.repo+"/source"), nil, "Authorization", mine)
				s.has(r, "Range", "0-0", "Docker-Content-Digest", "")
				s.expect(204, "", "DELETE", r.Header.Get("Location"), nil, "Authorization", mine)
			}
			s.expect(404, "BLOB_UNKNOWN", "GET", s.in("/target/blobs/"+d.String()), nil)
		}},
		{"mount", "onto itself", "what is here is here", func(s *spec) {
			d := s.blob("mine").Digest
			s.expect(201, "", "POST", s.in("/blobs/uploads/?mount="+d.String()+"&from="+s.repo), nil)
		}},
	}
}
