package forge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// shelf answers lists with elements of given sizes, some of which are ours.
type shelf struct {
	// sizes are the lengths of the texts, by number less one, and ours the numbers of requests of the branch.
	sizes []int
	ours  []int64
	// longest is how long pages are at most.
	longest int
	// read is how many bytes were taken.
	read int64
}

// RoundTrip implements http.RoundTripper.
func (s *shelf) RoundTrip(r *http.Request) (*http.Response, error) {
	number := func(names ...string) int {
		for _, name := range names {
			if n, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil {
				return n
			}
		}
		return 0
	}
	size := min(number("per_page", "limit"), s.longest)
	from := min((number("page")-1)*size, len(s.sizes))
	to := min(from+size, len(s.sizes))
	parts := []io.Reader{strings.NewReader("[")}
	for i := from; i < to; i++ {
		before, after := s.element(i, i > from)
		parts = append(parts, strings.NewReader(before), io.LimitReader(repeated('x'), int64(s.sizes[i])), strings.NewReader(after))
	}
	parts = append(parts, strings.NewReader("]\n"))
	header := http.Header{}
	if to < len(s.sizes) {
		header.Set("Link", `<https://git.acme.org/>; rel="next"`)
	}
	body := io.TeeReader(io.MultiReader(parts...), (*counter)(&s.read))
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(body), Request: r}, nil
}

// element returns what is before and after the text of a request, in the words of all forges.
func (s *shelf) element(i int, comma bool) (before, after string) {
	number, from := int64(i)+1, 7
	if slices.Contains(s.ours, number) {
		from = 3
	}
	if comma {
		before = ","
	}
	before += fmt.Sprintf(`{"number":%d,"iid":%d,"state":"open","title":"t","body":"`, number, number)
	after = fmt.Sprintf(`","head":{"ref":"a","repo":{"id":%d}},"base":{"ref":"main","repo":{"id":3}},"source_branch":"a","target_branch":"main","source_project_id":%d,"target_project_id":3}`, from, from)
	return before, after
}

// repeated is one byte for ever.
type repeated byte

// Read implements io.Reader.
func (r repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

// counter counts what is written.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// TestOpenBesideLongTexts: what others write into their requests does not keep us from finding ours.
func TestOpenBesideLongTexts(t *testing.T) {
	t.Parallel()
	const mega = 1 << 20
	texts := func(count, size int, more ...int) []int { return append(slices.Repeat([]int{size}, count), more...) }
	for name, c := range map[string]struct {
		reason  string
		sizes   []int
		ours    []int64
		longest int
	}{
		"a page of them":       {"GitLab takes a megabyte", texts(19, mega, 10), []int64{20}, 100},
		"one above all":        {"Gitea takes any", texts(3, 10, maxBody, 10), []int64{1, 5}, 100},
		"a page without end":   {"the page is read in pieces", texts(3, 10, maxPage, 10, 10), []int64{2, 5, 6}, 100},
		"the second page":      {"the first is read as usual", texts(101, 10, maxPage, 10), []int64{1, 60, 101, 103}, 100},
		"pages that go on":     {"what is behind the pieces is found, too", texts(1, maxPage, texts(120, 10)...), []int64{2, 50, 51, 100, 121}, 100},
		"short pages":          {"a server is set to them", texts(40, 10, texts(1, maxPage, texts(30, 10)...)...), []int64{1, 24, 25, 36, 37, 40, 42, 60, 71}, 12},
		"short from the first": {"nothing is known of it", texts(1, maxPage, texts(70, 10)...), []int64{2, 12, 13, 24, 25, 50, 71}, 12},
		"the last one":         {"there is nothing behind it", texts(60, 10, maxPage), []int64{1, 60}, 100},
	} {
		for _, provider := range []string{GitHub, GitLab, Gitea} {
			t.Run(name+", "+provider, func(t *testing.T) {
				t.Parallel()
				s := &shelf{sizes: c.sizes, ours: c.ours, longest: c.longest}
				f, err := New(Options{Provider: provider, RepositoryURL: "https://git.acme.org/acme/fleet", Token: "t", Client: &http.Client{Transport: s}})
				if err != nil {
					t.Fatal(err)
				}
				found, err := f.Open(t.Context(), "a")
				var numbers []int64
				for i := range found {
					numbers = append(numbers, found[i].Number)
				}
				if err != nil || !slices.Equal(numbers, c.ours) {
					t.Errorf("found %v, %v; want %v: %s", numbers, err, c.ours, c.reason)
				}
			})
		}
	}
}

// TestListBound: a list that is large everywhere is given up, when a bounded number of bytes was read.
func TestListBound(t *testing.T) {
	t.Parallel()
	s := &shelf{sizes: slices.Repeat([]int{maxPage}, 200), longest: 100}
	f, err := New(Options{Provider: Gitea, RepositoryURL: "https://git.acme.org/acme/fleet", Token: "t", Client: &http.Client{Transport: s}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Open(t.Context(), "a")
	if limit, ok := errors.AsType[*TooLargeError](err); !ok || limit.Limit != maxList || s.read > maxList+maxBody {
		t.Errorf("%v after %d bytes", err, s.read)
	}
}

// read gives an array to elements as it comes from a transport, in pieces.
func read(data []byte, limit int64) ([]string, *elements, error) {
	var list []string
	e := &elements{limit: limit, each: func(data []byte) error {
		var raw json.RawMessage
		err := decode(data, &raw)
		list = append(list, string(raw))
		return err
	}}
	err := e.from(&client{token: "t"}, &halves{data})
	return list, e, err
}

// halves reads half of what is left at a time.
type halves struct{ data []byte }

// Read implements io.Reader.
func (h *halves) Read(p []byte) (int, error) {
	if len(h.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, h.data[:(len(h.data)+1)/2])
	h.data = h.data[n:]
	return n, nil
}

// TestElementsOver: a page that is cut off by the bound is no error, and gives what was complete.
func TestElementsOver(t *testing.T) {
	t.Parallel()
	list, e, err := read([]byte(`[1, "ab]", {"c": [2]}]`), 12)
	if err != nil || !e.over || e.count != 2 || !slices.Equal(list, []string{"1", `"ab]"`}) || e.read != 13 {
		t.Errorf("%q, %+v, %v", list, e, err)
	}
}

// FuzzElements: what the decoder of the standard library takes for an array is taken, with the same elements, and nothing else is.
func FuzzElements(f *testing.F) {
	for _, seed := range []string{
		`[]`, " [ ] \n", `[1]`, `[1,]`, `[,]`, `[,1]`, `[1 2]`, `[1]]`, `[1]x`, `[1}`, `[{]}`, `[{"a":"]\",["},[[2]],null, true ]`, `["\\",1]`, `null`, `{}`, `"`, ``, ` `, `[`, `["`, `["\`, `[1`, `[{"a":[`, "[\"\xff\"]",
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, e, err := read(bytes.Clone(data), maxPage)
		if e.read != int64(len(data)) && err == nil {
			t.Errorf("%d of %d bytes were read", e.read, len(data))
		}
		var want []json.RawMessage
		if wantErr := decode(data, &want); (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, want %v", data, err, wantErr)
		}
		if err != nil {
			return
		}
		var texts []string
		for _, raw := range want {
			texts = append(texts, string(raw))
		}
		if !slices.Equal(list, texts) || e.count != len(texts) {
			t.Errorf("%q: %q, want %q", data, list, texts)
		}
	})
}
