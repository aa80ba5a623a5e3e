package remote

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// want is what is asked from a server.
type want struct {
	hashes []plumbing.Hash
	// shallow is for a commit, without those before it.
	shallow bool
	// bare leaves files out, if the server can do that.
	bare bool
}

// answer is a pack on its way.
type answer struct {
	io.Reader

	talk conversation
	body io.Closer
	// bare is true if files were left out.
	bare bool
}

// close ends the conversation.
func (a *answer) close() {
	a.body.Close()
	a.talk.close()
}

// request asks for something, and returns the pack that the server sends. It has no bound but the one of the context.
func (r *Remote) request(ctx context.Context, w want) (_ *answer, err error) {
	var talk conversation
	if known := r.learn(nil); known != nil {
		talk, err = r.transport.resume(ctx, uploadPack, known)
	} else {
		talk, err = r.transport.open(ctx, uploadPack)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			talk.close()
		}
	}()
	caps := r.learn(talk.advertised().caps)
	w.bare = w.bare && caps.has("filter")
	if w.shallow && !caps.has("shallow") {
		return nil, fmt.Errorf("%w: its server cannot send a commit without its history; use another server", ErrUnsupported)
	}
	message, banded, err := r.wantMessage(w, caps)
	if err != nil {
		return nil, err
	}
	body, err := talk.ask(ctx, func() (io.ReadCloser, int64, error) {
		return io.NopCloser(bytes.NewReader(message)), int64(len(message)), nil
	})
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewReaderSize(body, 64<<10)
	if err := r.acknowledged(buffered, w); err != nil {
		body.Close()
		return nil, talk.explain(err)
	}
	a := &answer{Reader: buffered, talk: talk, body: body, bare: w.bare}
	if banded {
		a.Reader = newSideband(buffered, r.clean)
	}
	return a, nil
}

// wantMessage is the request. Capabilities are chosen for each, since some servers insist on some: those which want to
// negotiate in steps (multi_ack) do it without any step when there is nothing to start from.
func (r *Remote) wantMessage(w want, offered capabilities) (message []byte, banded bool, err error) {
	use := []string{"agent=" + r.options.UserAgent}
	for _, c := range []string{"multi_ack_detailed", "multi_ack", "side-band-64k", "ofs-delta", "no-progress"} {
		if offered.has(c) && (c != "multi_ack" || !offered.has("multi_ack_detailed")) {
			use = append(use, c)
		}
	}
	if w.shallow {
		use = append(use, "shallow")
	}
	if w.bare {
		use = append(use, "filter")
	}
	var out bytes.Buffer
	lines := pktline.NewEncoder(&out)
	for i, h := range w.hashes {
		tail := ""
		if i == 0 {
			tail = " " + strings.Join(use, " ")
		}
		err = errors.Join(err, lines.Encodef("want %s%s\n", h, tail))
	}
	if w.shallow {
		err = errors.Join(err, lines.EncodeString("deepen 1\n"))
	}
	if w.bare {
		err = errors.Join(err, lines.EncodeString("filter blob:none\n"))
	}
	err = errors.Join(err, lines.Flush(), lines.EncodeString("done\n"))
	return out.Bytes(), slices.Contains(use, "side-band-64k"), err
}

// acknowledged reads what comes before the pack: where the history is cut off, and that nothing is known to both.
func (r *Remote) acknowledged(from io.Reader, w want) error {
	lines := pktline.NewScanner(from)
	// A commit has few parents, and the server names no other commits.
	const most = 4096
	for cutting, n := w.shallow, 0; n < most; n++ {
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return serverError(err, r.clean)
			}
			return io.ErrUnexpectedEOF
		}
		line := string(bytes.TrimSuffix(lines.Bytes(), []byte("\n")))
		switch {
		case line == "" && cutting:
			cutting = false
		case cutting && (strings.HasPrefix(line, "shallow ") || strings.HasPrefix(line, "unshallow ")):
		case line == "NAK" && !cutting:
			return nil
		default:
			return fmt.Errorf("%w: %q in place of what comes before a pack", ErrProtocol, r.clean(cut(line, 80)))
		}
	}
	return fmt.Errorf("%w: more than %d lines before a pack", ErrProtocol, most)
}
