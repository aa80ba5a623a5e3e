package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/e2e/loopback"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/certs"
)

const (
	// maxLease is longer than a push takes, and much shorter than a soak.
	maxLease = 10 * time.Second
	// collectEvery makes collections and pushes meet.
	collectEvery = 300 * time.Millisecond
	// longest is how many times the duration a soak may take in which something does not happen.
	longest = 4
	// reportEvery is the time between two lines about the progress.
	reportEvery = 10 * time.Second
)

// soak runs a registry and kills it until the time is over, and then compares.
func soak(ctx context.Context, o options, out io.Writer) (_ *counts, err error) {
	w := &world{ledger: &ledger{}, live: o.live, quota: o.quota}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "registry-soak-"); err != nil {
			return &w.counts, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	w.dir = o.dir
	roots, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return &w.counts, err
	}
	asks := &http.Server{Handler: w.ledger, ReadHeaderTimeout: time.Minute}
	go func() { _ = asks.Serve(roots) }()
	defer func() { _ = asks.Close() }()
	address, kept, err := loopback.Reserve()
	if err != nil {
		return &w.counts, err
	}
	defer func() { _ = kept.Close() }()
	p := &process{counts: &w.counts, out: out, orders: orders{
		Dir: o.dir, Address: address, Roots: "http://" + roots.Addr().String(),
		Lease: min(maxLease, o.duration/8), Quota: o.quota, Collect: collectEvery,
	}}
	if w.client, err = p.prepare(); err != nil {
		return &w.counts, err
	}
	defer w.client.http.CloseIdleConnections()
	_, _ = fmt.Fprintf(out, "seed %d, %s, concurrency %d, %s\n", o.seed, o.duration, o.concurrency, o.dir)
	return &w.counts, w.run(ctx, o, p)
}

func (w *world) run(ctx context.Context, o options, p *process) error {
	random := rand.New(rand.NewPCG(o.seed, 0))
	for range sharedBlobs {
		w.pool = append(w.pool, noise(random, 1+random.IntN(64<<10)))
	}
	if err := p.start(); err != nil {
		return err
	}
	defer p.kill()
	w.client.base = "https://" + p.orders.Address
	if err := w.fillPool(ctx); err != nil {
		return err
	}
	if err := w.load(ctx, o, p, random); err != nil {
		return err
	}
	if err := w.audit(ctx); err != nil {
		return err
	}
	if err := w.within(ctx); err != nil {
		return err
	}
	if err := w.settle(ctx, random); err != nil {
		return err
	}
	p.kill()
	w.client.http.CloseIdleConnections()
	w.ledger.restarted()
	if err := p.collectAll(); err != nil {
		return err
	}
	return errors.Join(w.balance(o.dir), w.reopen(ctx, o.dir), w.counts.idle(o))
}

// fillPool pushes the blobs that are mounted, under a tag that stays.
func (w *world) fillPool(ctx context.Context) error {
	a := w.pooled()
	if done, err := w.client.push(ctx, a, 0); err != nil || !done {
		return fmt.Errorf("push the blobs to be mounted: %w", err)
	}
	a.state = acknowledged
	// Nobody retires it.
	a.use.RLock()
	w.ledger.add(a)
	return nil
}

// load lets the clients work, and kills the registry meanwhile. After each start everything is compared. Where the machine has so much
// else to do that something has never happened by then, it goes on for longer.
func (w *world) load(ctx context.Context, o options, p *process, random *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, longest*o.duration)
	defer cancel()
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, working := errgroup.WithContext(working)
	for i := range o.concurrency {
		mine := rand.New(rand.NewPCG(o.seed, uint64(i)+1))
		group.Go(func() error { return w.work(working, mine) })
	}
	if o.damage > 0 {
		mine := rand.New(rand.NewPCG(o.seed, uint64(o.concurrency)+1))
		group.Go(func() error { return w.vandalize(working, mine, o.damage) })
	}
	group.Go(func() error {
		defer stop()
		over := time.After(o.duration)
		for {
			wait := time.Duration((0.25 + 1.5*random.Float64()) * float64(o.killEvery))
			select {
			case <-ctx.Done():
				return nil
			case <-working.Done():
				return nil
			case <-over:
				if w.counts.idle(o) == nil {
					return nil
				}
				over = time.After(o.duration / 4)
				continue
			case <-time.After(wait):
			}
			if err := w.killAndCompare(working, p); err != nil {
				return err
			}
		}
	})
	return group.Wait()
}

func (w *world) killAndCompare(ctx context.Context, p *process) error {
	p.kill()
	w.counts.kills.Add(1)
	w.starts.Add(1)
	w.ledger.restarted()
	if err := p.start(); err != nil {
		return err
	}
	w.starts.Add(1)
	err := w.audit(ctx)
	p.progress()
	return err
}

// process is the registry.
type process struct {
	orders orders
	counts *counts
	out    io.Writer
	told   time.Time

	cmd   *exec.Cmd
	stdin io.Closer
	// ended is closed when the process is gone, and everything that it said was read.
	ended chan struct{}
}

// prepare makes certificates and a key, and returns who may do everything.
func (p *process) prepare() (*client, error) {
	var err error
	if p.orders.Bundle, _, err = certs.Ensure(certs.Bundle{}, certs.Options{Hosts: []string{"127.0.0.1"}}); err != nil {
		return nil, err
	}
	p.orders.Key = bytes.Repeat([]byte{1}, 32)
	issuer, err := auth.NewIssuer(p.orders.Key, nil)
	if err != nil {
		return nil, err
	}
	credential, err := issuer.Issue(auth.Scope{Push: true}, 24*time.Hour)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(p.orders.Bundle.CACert)
	transport := &http.Transport{MaxIdleConnsPerHost: 32, TLSClientConfig: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS13}}
	return &client{http: &http.Client{Transport: transport}, user: credential.Username, password: credential.Password}, nil
}

// launch starts the process with its orders, and hands each line that it says to heard.
func (p *process) launch(heard func(line string)) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self) //nolint:noctx // it is killed, not cancelled
	cmd.Env = append(os.Environ(), asServer+"=1")
	cmd.Stderr = p.out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the registry: %w", err)
	}
	p.cmd, p.stdin, p.ended = cmd, stdin, make(chan struct{})
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			heard(lines.Text())
		}
		close(p.ended)
	}()
	return gob.NewEncoder(stdin).Encode(p.orders)
}

// start runs the registry and waits until it serves. From the first time on it keeps its address.
func (p *process) start() error {
	ready := make(chan string, 1)
	err := p.launch(func(line string) {
		if address, found := strings.CutPrefix(line, "ready "); found {
			ready <- address
		}
		p.heard(line)
	})
	if err != nil {
		return err
	}
	select {
	case p.orders.Address = <-ready:
		return nil
	case <-p.ended:
		return errors.New("the registry ended before it served")
	case <-time.After(time.Minute):
		return errors.New("the registry does not serve within a minute")
	}
}

func (p *process) heard(line string) {
	var manifests, blobs, size int64
	if n, err := fmt.Sscanf(line, "collected %d %d %d", &manifests, &blobs, &size); n == 3 && err == nil {
		p.counts.collections.Add(1)
		p.counts.collected.Add(blobs)
		p.counts.freed.Add(size)
	}
}

// kill ends the registry as a failure of the machine does: without a word.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	_ = p.cmd.Wait()
	_ = p.stdin.Close()
	p.cmd = nil
}

// collectAll runs the registry for a collection in which no lease keeps anything.
func (p *process) collectAll() error {
	p.orders.Lease, p.orders.Collect = time.Nanosecond, 0
	// The first answer about the roots is that they are not complete yet, and that must be the end of a collection.
	for attempt := range 2 {
		if err := p.launch(p.heard); err != nil {
			return err
		}
		<-p.ended
		err := p.cmd.Wait()
		_ = p.stdin.Close()
		p.cmd = nil
		if failed := err != nil; failed != (attempt == 0) {
			return fmt.Errorf("collection %d without leases: %w", attempt+1, err)
		}
	}
	return nil
}

func (p *process) progress() {
	if time.Since(p.told) > reportEvery {
		p.told = time.Now()
		_, _ = fmt.Fprint(p.out, p.counts)
	}
}
