package remote

import (
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

const (
	bandData     = 1
	bandProgress = 2
	bandError    = 3
)

// maxProgress is how much a server may say beside what was asked for. Without it, one that never comes to the point would
// be listened to until the context ends.
const maxProgress = 16 << 20

// sideband reads the data among what a server says to people.
type sideband struct {
	lines *pktline.Scanner
	said  heard
	clean func(string) string

	pending []byte
	talked  int64
	err     error
}

func newSideband(from io.Reader, clean func(string) string) *sideband {
	return &sideband{lines: pktline.NewScanner(from), clean: clean}
}

// Read implements io.Reader.
func (s *sideband) Read(p []byte) (int, error) {
	for len(s.pending) == 0 && s.err == nil {
		s.pending, s.err = s.next()
	}
	if len(s.pending) == 0 {
		return 0, s.err
	}
	n := copy(p, s.pending)
	s.pending = s.pending[n:]
	return n, nil
}

// next returns the data of a line, which may be none.
func (s *sideband) next() ([]byte, error) {
	if !s.lines.Scan() {
		if err := s.lines.Err(); err != nil {
			return nil, serverError(err, s.clean)
		}
		return nil, io.ErrUnexpectedEOF
	}
	line := s.lines.Bytes()
	if len(line) == 0 {
		return nil, io.EOF
	}
	switch line[0] {
	case bandData:
		return line[1:], nil
	case bandProgress:
		if s.talked += int64(len(line)); s.talked > maxProgress {
			return nil, fmt.Errorf("%w: it says more than %d bytes beside what was asked for", ErrProtocol, maxProgress)
		}
		_, err := s.said.Write(line[1:])
		return nil, err
	case bandError:
		return nil, saidError(string(line[1:]), s.clean)
	}
	return nil, fmt.Errorf("%w: a message on channel %d, which there is not", ErrProtocol, line[0])
}
