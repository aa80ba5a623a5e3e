// Command web is what the tests deliver: it tells every client which version it is, and what it was configured to say. An image
// with nothing but this program and the file /version is enough.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	address     = ":8080"
	versionFile = "/version"
	readTimeout = 5 * time.Second
	// farewell is how long it goes on after it was told to end: the nodes need a moment to send clients elsewhere, and a long one when
	// they have other things to do. Pods have twice as long, and only a namespace that is deleted waits for those that end.
	farewell = 15 * time.Second
)

// answer is what a client gets.
type answer struct {
	Version string `json:"version"`
	Message string `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func run() error {
	version, err := os.ReadFile(versionFile)
	if err != nil {
		return fmt.Errorf("find out which version this is: %w", err)
	}
	said, err := json.Marshal(answer{Version: strings.TrimSpace(string(version)), Message: os.Getenv("MESSAGE")})
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	server := &http.Server{
		Addr: address, ReadHeaderTimeout: readTimeout,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(said) // a client that has gone away misses nothing
		}),
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		<-time.After(farewell)
		ended <- server.Shutdown(context.WithoutCancel(ctx))
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return <-ended
}
