package manager

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlmanager "sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// diary is what has ended, in order.
type diary struct {
	mu    sync.Mutex
	ended []string
}

func (d *diary) write(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = append(d.ended, what)
}

// until runs until it is asked to end.
func (d *diary) until(what string, begun func()) ctrlmanager.RunnableFunc {
	return func(ctx context.Context) error {
		begun()
		<-ctx.Done()
		d.write(what)
		return nil
	}
}

// kept is a runnable that lasts.
type kept struct{ ctrlmanager.RunnableFunc }

func (kept) Lasts() {}

// everywhere is one that every replica runs.
type everywhere struct{ ctrlmanager.RunnableFunc }

func (everywhere) NeedLeaderElection() bool { return false }

func newManager(t *testing.T) *Manager {
	t.Helper()
	inner, err := ctrl.NewManager(&rest.Config{Host: "https://127.0.0.1:1"}, ctrl.Options{Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	return &Manager{Manager: inner}
}

// TestLastingEndsLast: those who need what it serves have ended before.
func TestLastingEndsLast(t *testing.T) {
	t.Parallel()
	m, d := newManager(t), &diary{}
	ctx, cancel := context.WithCancel(t.Context())
	var begun sync.WaitGroup
	begun.Add(3)
	if err := errors.Join(m.Add(kept{d.until("lasting", begun.Done)}), m.Add(everywhere{d.until("everywhere", begun.Done)}), m.Add(d.until("leading", begun.Done))); err != nil {
		t.Fatal(err)
	}
	go func() {
		begun.Wait()
		cancel()
	}()
	if err := m.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if want := []string{"everywhere", "leading", "lasting"}; !slices.Equal(d.ended, want) {
		t.Errorf("ended are %v, want %v", d.ended, want)
	}
}

// TestLastingFails is the end of the manager, and told once.
func TestLastingFails(t *testing.T) {
	t.Parallel()
	m, broken := newManager(t), errors.New("broken")
	if err := m.Add(kept{func(context.Context) error { return broken }}); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); !errors.Is(err, broken) || err.Error() != broken.Error() {
		t.Errorf("error %v", err)
	}
}

// TestLastingFailsAtItsEnd is told, too, and one that does not end holds up nothing for ever.
func TestLastingFailsAtItsEnd(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		run     kept
		context func(context.Context) (context.Context, context.CancelFunc)
		want    error
	}{
		"it fails": {kept{func(ctx context.Context) error {
			<-ctx.Done()
			return broken
		}}, context.WithCancel, broken},
		"it stays": {kept{func(context.Context) error {
			<-t.Context().Done()
			return nil
		}}, func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &survivor{runnable: tc.run, ended: make(chan struct{})}
			over, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.Start(over); err != nil {
				t.Fatal(err)
			}
			drain, cancel := tc.context(t.Context())
			defer cancel()
			if err := s.end(drain); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if s.begin(t.Context()) {
				t.Error("it begins after its end")
			}
		})
	}
}
