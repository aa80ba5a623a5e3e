package forge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxPages bounds lists, together with the length of their pages.
	maxPages = 100
	// maxPage is for how many bytes a page is read; one that has more is read one element at a time.
	maxPage = 32 << 20
	// maxList bounds the bytes of all pages. To fill it, others need some hundred requests with the longest texts that GitLab takes.
	maxList = 256 << 20
	// chunk is how much of a page is read at once.
	chunk = 32 << 10
)

// list reads all pages of a list and gives the elements to add, some of them more than once. Whoever may open a request writes what is in a list; so an element that is larger than maxBody, as ours
// never are, is left out, and a page that is too large is read in pieces.
func list[T any](ctx context.Context, c *client, r call, perPage int, add func(*T)) error {
	if r.query == nil {
		r.query = url.Values{}
	}
	each := func(data []byte) error {
		var item T
		if err := decode(data, &item); err != nil {
			return err
		}
		add(&item)
		return nil
	}
	l := &listing{client: c, call: r, each: each, left: maxList}
	shortest := perPage
	for page := 1; page <= maxPages; page++ {
		got, err := l.page(ctx, page, perPage, maxPage)
		switch {
		case err != nil:
		case got.over:
			// Servers may send shorter pages than they are asked for, so this one may begin earlier.
			got.more, err = l.pieces(ctx, (page-1)*shortest, page*perPage)
		default:
			shortest = min(shortest, got.count)
		}
		if err != nil || !got.more {
			return err
		}
	}
	return fmt.Errorf("%s: %w", r.what, &TooLargeError{What: "the number of pages", Limit: maxPages})
}

// listing is a list that is being read.
type listing struct {
	client *client
	call   call
	each   func([]byte) error
	// left is how many bytes may still be read.
	left int64
}

// got is what there was on a page.
type got struct {
	// count is the number of elements. Over says that the page was not read to its end, and that count is too low.
	count int
	over  bool
	// more says that there is another page.
	more bool
}

// page reads at most limit bytes of a page.
func (l *listing) page(ctx context.Context, page, perPage int, limit int64) (got, error) {
	l.call.query.Set("page", strconv.Itoa(page))
	l.call.query.Set(l.client.perPage, strconv.Itoa(perPage))
	e := &elements{limit: min(limit, l.left), each: l.each}
	header, err := l.client.do(ctx, l.call, e)
	if err != nil {
		return got{}, err
	}
	if l.left -= e.read; l.left <= 0 {
		return got{}, fmt.Errorf("%s: %w", l.call.what, &TooLargeError{What: "bytes of all pages", Limit: maxList})
	}
	return got{count: e.count, over: e.over, more: more(header, e, perPage)}, nil
}

// pieces reads elements one by one, leaves out what is too large, and returns whether there are more.
func (l *listing) pieces(ctx context.Context, from, to int) (bool, error) {
	for i := from; i < to; i++ {
		one, err := l.page(ctx, i+1, 1, maxBody)
		if err != nil || !one.more {
			return false, err
		}
	}
	return true, nil
}

// more tells whether there is a next page. The links of the header are never followed, they could lead anywhere; and servers may send shorter pages than they are asked for.
func more(header http.Header, e *elements, perPage int) bool {
	if e.count == 0 && !e.over {
		return false
	}
	if links := header.Values("Link"); len(links) > 0 {
		return strings.Contains(strings.Join(links, ","), `rel="next"`)
	}
	return e.over || e.count >= perPage
}

// elements reads a JSON array of any length and gives each element to a function, so that one at a time is in memory.
type elements struct {
	// limit is how many bytes are read, and each is given the elements that have at most maxBody.
	limit int64
	each  func([]byte) error
	// read is how many bytes were read, count the number of elements, and over whether there was more than limit allows.
	read  int64
	count int
	over  bool

	element []byte
	// large is set for an element that is left out, and seen for one that is not only white space.
	large, seen     bool
	quoted, escaped bool
	depth           int
	ended           bool
}

// from reads an answer. One that is no array is read as a whole, for the error to say what is wrong with it.
func (e *elements) from(c *client, body io.Reader) error {
	bounded := &io.LimitedReader{R: body, N: e.limit + 1}
	defer func() { e.read = e.limit + 1 - bounded.N }()
	reader := bufio.NewReaderSize(bounded, chunk)
	first, err := reader.ReadByte()
	for err == nil && isSpace(first) {
		first, err = reader.ReadByte()
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return c.broken(err)
	case err != nil:
		return refused(io.ErrUnexpectedEOF)
	case first != '[':
		data, err := c.whole(io.MultiReader(bytes.NewReader([]byte{first}), reader))
		if err != nil {
			return err
		}
		return decode(data, &[]json.RawMessage{})
	}
	if err := e.array(c, reader); err != nil {
		return err
	}
	if e.over = !e.ended && bounded.N == 0; !e.over && !e.ended {
		return refused(io.ErrUnexpectedEOF)
	}
	return nil
}

// array reads to the end, also behind the array, as connections that are not read to their end are not used again.
func (e *elements) array(c *client, reader io.Reader) error {
	data := make([]byte, chunk)
	for {
		n, err := reader.Read(data)
		if failure := e.split(data[:n]); failure != nil {
			return failure
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return c.broken(err)
		}
	}
}

// split looks at the bytes of an array behind its first bracket.
func (e *elements) split(data []byte) error {
	from := 0
	for i, b := range data {
		switch {
		case e.escaped:
			e.escaped = false
		case e.quoted:
			e.escaped, e.quoted = b == '\\', b != '"'
		case e.ended && !isSpace(b):
			return refused(errors.New("something follows the list"))
		case e.depth == 0 && !e.ended && (b == ',' || b == ']'):
			e.keep(data[from:i])
			from, e.ended = i+1, b == ']'
			if err := e.done(); err != nil {
				return err
			}
		case b == '{' || b == '[':
			// The array itself is the first level.
			if e.depth++; e.depth >= maxDepth {
				return &TooLargeError{What: "the depth", Limit: maxDepth}
			}
			e.seen = true
		case e.depth > 0 && (b == '}' || b == ']'):
			e.depth--
		case !isSpace(b):
			e.quoted, e.seen = b == '"', true
		}
	}
	if !e.ended {
		e.keep(data[from:])
	}
	return nil
}

// keep adds to the element, unless that becomes too large.
func (e *elements) keep(data []byte) {
	if e.large = e.large || len(e.element)+len(data) > maxBody; !e.large {
		e.element = append(e.element, data...)
	}
}

// done gives the element away. An array without any has nothing but white space.
func (e *elements) done() error {
	large, seen := e.large, e.seen
	e.large, e.seen = false, false
	data := e.element
	e.element = e.element[:0]
	if e.ended && !seen && e.count == 0 {
		return nil
	}
	e.count++
	if large {
		return nil
	}
	return e.each(data)
}

// isSpace tells whether a byte is white space between the tokens of JSON.
func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// found reads a list of requests and returns those that are open and ours, by number.
func found[T any](ctx context.Context, c *client, r call, perPage int, read func(*T) (Request, bool)) ([]Request, error) {
	ours := map[int64]Request{}
	err := list(ctx, c, r, perPage, func(item *T) {
		// A page can repeat what has moved down since the one before it.
		if request, mine := read(item); mine && request.State == Open {
			ours[request.Number] = request
		}
	})
	if err != nil {
		return nil, err
	}
	return byNumber(slices.Collect(maps.Values(ours))), nil
}
