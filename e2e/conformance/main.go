// Command conformance serves the registry of the operator alone, over plain HTTP on this machine, with content that is gone when it
// ends. It prints the environment that the conformance suite of the distribution specification takes, and anything else that
// speaks to registries may use the same.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// credentialTTL is longer than any suite takes.
const credentialTTL = 24 * time.Hour

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, log io.Writer) (err error) {
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.SetOutput(log)
	address := flags.String("address", "127.0.0.1:0", "Where to listen; port 0 takes a free one.")
	access := flags.Bool("access-log", false, "Write a line for each request to the standard error.")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "registry-conformance-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	// rand.Read never fails.
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	issuer, err := auth.NewIssuer(key, nil)
	if err != nil {
		return err
	}
	credential, err := issuer.Issue(auth.Scope{Push: true}, credentialTTL)
	if err != nil {
		return err
	}
	level := slog.LevelError
	if *access {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level}))
	h := registry.NewHandler(s, registry.Options{Authorizer: issuer, Logger: logger, Probe: s.Check})
	defer h.Close()
	server := &registry.Server{Addr: *address, Handler: h, Grace: time.Second, Logger: logger}
	go tell(ctx, out, server, credential)
	return server.Run(ctx)
}

// tell prints the environment, in the words of the suite and in those that older versions of it take.
func tell(ctx context.Context, out io.Writer, server *registry.Server, credential auth.Credential) {
	select {
	case <-server.Ready():
	case <-ctx.Done():
		return
	}
	const first, second = "conformance/repo1", "conformance/repo2"
	for _, line := range [][2]string{
		{"OCI_REGISTRY", server.Address()},
		{"OCI_TLS", "disabled"},
		{"OCI_REPO1", first},
		{"OCI_REPO2", second},
		{"OCI_ROOT_URL", "http://" + server.Address()},
		{"OCI_NAMESPACE", first},
		{"OCI_CROSSMOUNT_NAMESPACE", second},
		{"OCI_USERNAME", credential.Username},
		{"OCI_PASSWORD", credential.Password},
		{"OCI_TEST_PULL", "1"},
		{"OCI_TEST_PUSH", "1"},
		{"OCI_TEST_CONTENT_DISCOVERY", "1"},
		{"OCI_TEST_CONTENT_MANAGEMENT", "1"},
	} {
		_, _ = fmt.Fprintf(out, "export %s='%s'\n", line[0], line[1])
	}
	_, _ = fmt.Fprintln(out, "# The registry serves until this is interrupted.")
}
