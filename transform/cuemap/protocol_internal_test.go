package cuemap

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

const (
	goodRequest = `{"program": "out: \"1\"", "component": {"version": "1.0.0"}, "cpu": 5, "memory": 1000000, "output": 1000}`
	goodAnswer  = `{"out": "MQ=="}`
)

func TestRequestsNeedLimits(t *testing.T) {
	t.Parallel()
	if _, err := readRequest(strings.NewReader(goodRequest)); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{`"cpu": 5`, `"memory": 1000000`, `"output": 1000`} {
		q := strings.Replace(goodRequest, field, `"x": 0`, 1)
		if _, err := readRequest(strings.NewReader(q)); err == nil || !strings.Contains(err.Error(), "it has no limits") {
			t.Errorf("without %s: got %v", field, err)
		}
	}
	endless := `{"program": "` + strings.Repeat("x", maxRequest) + `"}`
	if _, err := readRequest(strings.NewReader(endless)); err == nil {
		t.Error("a request that is too long was read")
	}
}

// FuzzProtocol reads anything at all as what the two processes say to each other.
func FuzzProtocol(f *testing.F) {
	for _, seed := range []string{goodRequest, goodAnswer, `{"failed": "x", "large": true}`, `{"broken": "x"}`, `{"out": "!"}`, `{"out": "MSAy"}`, `{}`, `null`, `[`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if q, err := readRequest(bytes.NewReader(raw)); err == nil {
			if q.CPU == 0 || q.Memory <= 0 || q.Output <= 0 {
				t.Fatalf("a request without limits was taken: %+v", q)
			}
			if _, err := json.Marshal(q); err != nil {
				t.Fatalf("it can't be written again: %v", err)
			}
		}
		a, err := readResponse(raw)
		if err != nil {
			return
		}
		value, err := a.value()
		if err == nil {
			if _, err := json.Marshal(value); err != nil {
				t.Fatalf("the value is no JSON: %v", err)
			}
		}
		if a.Failed != "" && !errors.As(err, new(*ProgramError)) {
			t.Fatalf("a program that failed gave %v, %v", value, err)
		}
	})
}
