// Command registries serves OCI registries that other projects wrote: distribution, the usual server, and the one of
// go-containerregistry. The operator is measured beside them, and tested against them where it uses a registry that is
// not its own. They are the unchanged upstream servers; what stands before them is a login and nothing else.
package main

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	usage = "usage: registries serve --kind=distribution|gcr-disk|gcr-memory --dir=FOLDER [--listen=HOST:PORT] [--delete]\n" +
		"         [--tls-cert=FILE --tls-key=FILE] [--user=NAME], with the password in " + passwordVariable
	// passwordVariable has the password: the arguments of a process are no secret.
	passwordVariable = "REGISTRIES_PASSWORD"
	// grace is how long requests in flight may take at the end. It is more than the five seconds after which net/http no longer waits for
	// a request on a connection that was never used, as clients have them that dial twice.
	grace = 8 * time.Second
)

// options says which server to run, and how.
type options struct {
	kind, listen, dir string
	cert, key         string
	user, password    string
	deletion          bool
}

// kinds make the servers. A handler lives as long as the process.
var kinds = map[string]func(context.Context, options) (http.Handler, error){
	"distribution": distribution,
	"gcr-disk":     containerRegistryOnDisk,
	"gcr-memory":   containerRegistryInMemory,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "registries:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	handler, err := kinds[o.kind](ctx, o)
	if err != nil {
		return fmt.Errorf("set up %s: %w", o.kind, err)
	}
	listener, err := listen(ctx, o)
	if err != nil {
		return err
	}
	if _, err := fmt.Println(listener.Addr()); err != nil {
		return errors.Join(fmt.Errorf("tell the address: %w", err), listener.Close())
	}
	return serve(ctx, listener, login(o, handler))
}

func parse(args []string) (options, error) {
	o := options{password: os.Getenv(passwordVariable)}
	flags := flag.NewFlagSet("registries", flag.ContinueOnError)
	flags.StringVar(&o.kind, "kind", "", "which server: distribution, gcr-disk or gcr-memory")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:0", "where to listen; port 0 takes a free one, and the address is printed")
	flags.StringVar(&o.dir, "dir", "", "the folder for content")
	flags.StringVar(&o.cert, "tls-cert", "", "file with the certificate; plain HTTP without")
	flags.StringVar(&o.key, "tls-key", "", "file with the key of the certificate")
	flags.StringVar(&o.user, "user", "", "who may do everything, with the password in "+passwordVariable+"; everybody when empty")
	flags.BoolVar(&o.deletion, "delete", false, "let clients delete (distribution; the others always do)")
	flags.Usage = func() { fmt.Fprintln(flags.Output(), usage); flags.PrintDefaults() }
	if len(args) == 0 || args[0] != "serve" {
		return o, errors.New(usage)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q\n%s", flags.Arg(0), usage)
	case kinds[o.kind] == nil:
		return o, fmt.Errorf("no server is of kind %q\n%s", o.kind, usage)
	case o.dir == "" && o.kind != "gcr-memory":
		return o, fmt.Errorf("--dir is needed for %s\n%s", o.kind, usage)
	case (o.cert == "") != (o.key == ""):
		return o, errors.New("--tls-cert and --tls-key are given together or not at all")
	case (o.user == "") != (o.password == ""):
		return o, fmt.Errorf("--user and %s are given together or not at all", passwordVariable)
	}
	return o, nil
}

func listen(ctx context.Context, o options) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if o.cert == "" {
		return listener, nil
	}
	pair, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the certificate: %w", err), listener.Close())
	}
	return tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
	}), nil
}

// serve returns when the context is over and requests have ended.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests did not end within %s: %w", grace, err), server.Close())
	}
	return nil
}

// login asks for the one user. It stands for the login of each server: distribution's own takes some 50 ms of a core for
// each request, which is all that would be measured.
func login(o options, next http.Handler) http.Handler {
	if o.user == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		known := subtle.ConstantTimeCompare([]byte(user), []byte(o.user))
		if known&subtle.ConstantTimeCompare([]byte(password), []byte(o.password)) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registries"`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		message := "a user name and a password are needed"
		if strings.TrimSpace(r.Header.Get("Authorization")) != "" {
			message = "user name or password is wrong"
		}
		fmt.Fprintf(w, `{"errors":[{"code":"UNAUTHORIZED","message":%q}]}`, message)
	})
}
