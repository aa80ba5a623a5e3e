package process

import (
	"errors"
	"os"
	"testing"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const rest = " 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1000 200"
	for name, tc := range map[string]struct {
		reason string
		stat   string
		want   string
		done   bool
		fails  bool
	}{
		"plain":        {reason: "field 22 is the start", stat: "42 (etcd) S" + rest, want: "4711"},
		"hostile name": {reason: "a name may look like fields", stat: "42 (a) Z 1 (b) S" + rest, want: "4711"},
		"zombie":       {reason: "it has ended", stat: "42 (etcd) Z" + rest, done: true, fails: true},
		"dead":         {reason: "it has ended", stat: "42 (etcd) X" + rest, done: true, fails: true},
		"no name":      {reason: "not the expected file", stat: "42 etcd S" + rest, fails: true},
		"too few":      {reason: "not the expected file", stat: "42 (etcd) S 1 1", fails: true},
		"nothing":      {reason: "a process can end while it is read", stat: "", fails: true},
	} {
		got, err := parseStat([]byte(tc.stat))
		if got != tc.want || (err != nil) != tc.fails || errors.Is(err, os.ErrProcessDone) != tc.done {
			t.Errorf("%s: got %q, %v; want %q: %s", name, got, err, tc.want, tc.reason)
		}
	}
}
