package main

import (
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	t.Parallel()
	const pkg = `"Package":"github.com/ocm-operator/ocm-operator/ocm"`
	cases := map[string]struct {
		reason string
		stream []string
		ok     bool
		want   []string
		absent []string
	}{
		"pass": {
			reason: "a green package is one line, and what its tests printed is not shown",
			stream: []string{
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"chatter\n"}`,
				`{"Action":"pass",` + pkg + `,"Test":"TestA","Elapsed":0.1}`,
				`{"Action":"pass",` + pkg + `,"Elapsed":0.2}`,
			},
			ok:     true,
			want:   []string{"ok    ocm 200ms", "1 packages (0 without tests) in", "PASS: 1 passed, 0 failed, 0 skipped"},
			absent: []string{"chatter"},
		},
		"fail": {
			reason: "a failure is shown with everything the test printed, and named again at the end",
			stream: []string{
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"want 1, got 2\n"}`,
				`{"Action":"fail",` + pkg + `,"Test":"TestA","Elapsed":0.1}`,
				`{"Action":"fail",` + pkg + `,"Elapsed":0.2}`,
			},
			want: []string{"FAIL  ocm TestA", "want 1, got 2", "\nfailed\n  ocm TestA", "FAIL: 0 passed, 1 failed"},
		},
		"build failure": {
			reason: "a package that does not compile is a failure with the words of the compiler",
			stream: []string{
				`{"ImportPath":"x/ocm [x/ocm.test]","Action":"build-output","Output":"ocm.go:1: undefined: foo\n"}`,
				`{"Action":"fail",` + pkg + `,"FailedBuild":"x/ocm [x/ocm.test]"}`,
			},
			want: []string{"undefined: foo", "FAIL: 0 passed"},
		},
		"died": {
			reason: "a test process that panics leaves a test without an end, whose output explains it",
			stream: []string{
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"panic: boom\n"}`,
				`{"Action":"fail",` + pkg + `,"Elapsed":0.2}`,
			},
			want: []string{"unfinished: TestA", "panic: boom"},
		},
		"measured": {
			reason: "what a passing test has measured is shown, and only that",
			stream: []string{
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"=== RUN   TestA\n"}`,
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"    a_test.go:12: measured: ready after 7.9 s\n"}`,
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"    a_test.go:13: chatter\n"}`,
				`{"Action":"pass",` + pkg + `,"Test":"TestA","Elapsed":0.1}`,
				`{"Action":"pass",` + pkg + `,"Elapsed":0.2}`,
			},
			ok:     true,
			want:   []string{"\nmeasured\n  ocm TestA: ready after 7.9 s\n"},
			absent: []string{"chatter", "\nskipped"},
		},
		"skipped": {
			reason: "every test that was skipped is named, once for each reason, and nothing else that it said",
			stream: []string{
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"    a_test.go:12: chatter\n"}`,
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"    a_test.go:13: no nodes here: only root\n"}`,
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"        may\n"}`,
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}`,
				`{"Action":"skip",` + pkg + `,"Test":"TestA"}`,
				`{"Action":"output",` + pkg + `,"Test":"TestB","Output":"    b_test.go:5: no nodes here: only root\n        may\n"}`,
				`{"Action":"skip",` + pkg + `,"Test":"TestB"}`,
				`{"Action":"skip",` + pkg + `,"Test":"TestC"}`,
				`{"Action":"pass",` + pkg + `,"Test":"TestD"}`,
				`{"Action":"pass",` + pkg + `,"Elapsed":0.2}`,
			},
			ok: true,
			want: []string{
				"\nskipped\n  no nodes here: only root may:\n    ocm TestA\n    ocm TestB\n  no reason given:\n    ocm TestC\n",
				"PASS: 1 passed, 0 failed, 3 skipped",
			},
			absent: []string{"chatter", "SKIP"},
		},
		"slow": {
			reason: "a slow test gets its own line and appears among the slowest",
			stream: []string{`{"Action":"pass",` + pkg + `,"Test":"TestA","Elapsed":7.5}`},
			ok:     true,
			want:   []string{"      ocm TestA 7.5s", "slowest tests"},
		},
		"nothing": {
			reason: "no test at all is not a success",
			stream: []string{`{"Action":"skip",` + pkg + `}`},
			want:   []string{"FAIL: 0 passed", "(1 without tests)"},
		},
		"other lines": {
			reason: "what is no event is passed through, as it may be the reason of a failure",
			stream: []string{`go: cannot find main module`},
			want:   []string{"go: cannot find main module"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			r := newReport(&out, func() time.Time { return time.Unix(0, 0) })
			if err := r.read(strings.NewReader(strings.Join(tc.stream, "\n") + "\n")); err != nil {
				t.Fatal(err)
			}
			r.summary()
			if r.ok() != tc.ok {
				t.Errorf("%s: ok = %t, want %t", tc.reason, r.ok(), tc.ok)
			}
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%s: output lacks %q:\n%s", tc.reason, want, out.String())
				}
			}
			for _, absent := range tc.absent {
				if strings.Contains(out.String(), absent) {
					t.Errorf("%s: output has %q:\n%s", tc.reason, absent, out.String())
				}
			}
		})
	}
}
