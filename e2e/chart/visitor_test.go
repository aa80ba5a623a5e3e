package chart_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

const (
	// patience is how long one answer may take; the machine has other things to do at times.
	patience = 10 * time.Second
	// between is the time between two questions of a visitor.
	between = 100 * time.Millisecond
	// maxRefusals bounds how many refusals are shown.
	maxRefusals = 10
)

// answer is what the delivered program says.
type answer struct {
	Version string `json:"version"`
	Message string `json:"message"`
}

// ask asks it, each time over a connection of its own.
func ask(ctx context.Context, url string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return answer{}, err
	}
	got := answer{}
	if err := json.Unmarshal(content, &got); err != nil || response.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("%s: %s: %q", url, response.Status, content)
	}
	return got, nil
}

// visitor asks all the time, as users of what is delivered do.
type visitor struct {
	end  context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	asked   int
	refused []string
}

// visit sends a visitor, who has to be asked to leave.
func visit(ctx context.Context, url string) *visitor {
	ctx, end := context.WithCancel(ctx)
	v := &visitor{end: end, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		ticker := time.NewTicker(between)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			begun := time.Now()
			_, err := ask(ctx, url)
			if ctx.Err() == nil {
				v.note(begun, err)
			}
		}
	}()
	return v
}

func (v *visitor) note(begun time.Time, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked++
	if err != nil {
		v.refused = append(v.refused, fmt.Sprintf("%s, after %s: %v", begun.Format(time.TimeOnly), time.Since(begun).Round(time.Millisecond), err))
	}
}

// leave ends the visit. The test fails when the visitor was ever refused, or never asked.
func (v *visitor) leave(t *testing.T) {
	t.Helper()
	v.end()
	<-v.done
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.asked == 0 {
		t.Error("nobody has asked what was delivered")
	}
	for _, refusal := range v.refused[:min(len(v.refused), maxRefusals)] {
		t.Errorf("what was delivered did not answer at %s", refusal)
	}
	t.Logf("measured: what was delivered answered %d of %d times", v.asked-len(v.refused), v.asked)
}
