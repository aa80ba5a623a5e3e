package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/loopback"
	"github.com/ocm-operator/ocm-operator/e2e/operator/rights"
)

const (
	// stopGrace is how long the operator may take to end before it is killed. It gives itself 30 seconds.
	stopGrace = 40 * time.Second
	// portAttempts is how often it is started with other ports when somebody else was faster.
	portAttempts = 5
	readyPoll    = 50 * time.Millisecond
	probeTimeout = 2 * time.Second
)

// Options says how the operator is run.
type Options struct {
	// Binary is the program, see Build.
	Binary string
	// Kubeconfig is the file by which the cluster is reached with all rights. The operator gets a ServiceAccount with those that it
	// needs, and no others.
	Kubeconfig string
	// Unrestricted lets it have all rights.
	Unrestricted bool
	// Rights are those that it gets, if they are to be others than its arguments need.
	Rights *rights.Rights
	// Dir is its folder, for the registry's content and the log. It is created.
	Dir string
	// Args are appended to its arguments.
	Args []string
}

// Operator is the operator as a child of this process.
type Operator struct {
	options Options
	ports   ports
	// kubeconfig is the file by which it reaches the cluster, and account the name of its ServiceAccount.
	kubeconfig, account string

	mu      sync.Mutex
	process *process
}

// ports are where the operator listens on loopback. They stay the same over a restart, as Flux knows the registry's, and nobody
// else gets them meanwhile.
type ports struct {
	registry, metrics, health string

	kept [3]*os.File
}

// Start starts the operator and returns when it is ready. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Operator, error) {
	if o.Binary == "" || o.Kubeconfig == "" || o.Dir == "" {
		return nil, errors.New("start the operator: Binary, Kubeconfig and Dir must be set")
	}
	op := &Operator{options: o}
	for _, dir := range []string{op.RegistryDir(), op.TempDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("create the operator's folder: %w", err)
		}
	}
	var err error
	if op.kubeconfig, err = op.authorize(ctx); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		if op.ports, err = reservePorts(); err != nil {
			return nil, err
		}
		err = op.start(ctx)
		if err == nil {
			return op, nil
		}
		var exit *ExitError
		if attempt == portAttempts || !errors.As(err, &exit) || !exit.portTaken() {
			return nil, err
		}
	}
}

// RegistryAddress returns host and port of the embedded registry, which speaks TLS.
func (o *Operator) RegistryAddress() string { return o.ports.registry }

// MetricsURL returns where metrics are served.
func (o *Operator) MetricsURL() string { return "http://" + o.ports.metrics + "/metrics" }

// Ready tells whether the operator calls itself ready now.
func (o *Operator) Ready(ctx context.Context) bool {
	return answers(ctx, "http://"+o.ports.health+"/readyz")
}

// Binary returns the path of the program.
func (o *Operator) Binary() string { return o.options.Binary }

// LogFile returns the path of the log.
func (o *Operator) LogFile() string { return filepath.Join(o.options.Dir, "operator.log") }

// RegistryDir returns the folder with the registry's content.
func (o *Operator) RegistryDir() string { return filepath.Join(o.options.Dir, "registry") }

// TempDir returns the operator's folder for temporary files, which nobody else writes to.
func (o *Operator) TempDir() string { return filepath.Join(o.options.Dir, "tmp") }

// Exited is closed when the process has ended, for whatever reason. A restart makes another one.
func (o *Operator) Exited() <-chan struct{} { return o.current().exited }

// Err says how the process ended, with the end of its log. It is nil while the process runs.
func (o *Operator) Err() error { return o.current().err() }

// Stop asks the operator to end and waits for it; when ctx ends, or after a time, it is killed. A second Stop does
// nothing. That it lacked rights while it ran is an error, too.
func (o *Operator) Stop(ctx context.Context) error {
	p := o.current()
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-p.exited:
		return o.checkRights()
	case <-ctx.Done():
	case <-timer.C:
	}
	return errors.Join(fmt.Errorf("the operator did not end in time and was killed, see %s", o.LogFile()), o.Kill())
}

// Kill ends the operator as a crash would.
func (o *Operator) Kill() error {
	p := o.current()
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	return nil
}

// Restart starts the operator again, on the same ports and with the same content, after stopping it if it runs.
func (o *Operator) Restart(ctx context.Context) error {
	if err := o.Stop(ctx); err != nil {
		return err
	}
	return o.start(ctx)
}

func (o *Operator) current() *process {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.process
}

func (o *Operator) start(ctx context.Context) error {
	p, err := spawn(o.options.Binary, o.args(), []string{"KUBECONFIG=" + o.kubeconfig, "TMPDIR=" + o.TempDir()}, o.LogFile())
	if err != nil {
		return err
	}
	o.mu.Lock()
	o.process = p
	o.mu.Unlock()
	if err := o.awaitReady(ctx, p); err != nil {
		return errors.Join(err, o.Kill())
	}
	return nil
}

func (o *Operator) args() []string {
	args := []string{"--runtime-namespace=" + Namespace, "--metrics-addr=" + o.ports.metrics, "--health-addr=" + o.ports.health, "--log-encoding=console"}
	if !o.has("--snapshot-registry=") {
		args = append(args, "--registry-listen="+o.ports.registry, "--registry-address="+o.ports.registry, "--registry-dir="+o.RegistryDir())
		if !o.has("--registry-max-size=") {
			// How full the disk of this machine is with the content of others is no reason to give up history.
			args = append(args, "--registry-high-water-mark=100", "--registry-low-water-mark=100")
		}
	}
	return append(args, o.options.Args...)
}

func (o *Operator) has(flag string) bool {
	return slices.ContainsFunc(o.options.Args, func(arg string) bool { return strings.HasPrefix(arg, flag) })
}

func (o *Operator) awaitReady(ctx context.Context, p *process) error {
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		if o.Ready(ctx) {
			return nil
		}
		select {
		case <-p.exited:
			return p.err()
		case <-ctx.Done():
			return fmt.Errorf("wait until the operator is ready (see %s): %w", o.LogFile(), context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// reservePorts returns addresses that differ, because each is kept until the operator is forgotten.
func reservePorts() (ports, error) {
	var p ports
	for i, address := range []*string{&p.registry, &p.metrics, &p.health} {
		var err error
		if *address, p.kept[i], err = loopback.Reserve(); err != nil {
			return ports{}, err
		}
	}
	return p, nil
}
