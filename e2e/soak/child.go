package main

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/certs"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

const (
	// asServer is set for the process that is the registry.
	asServer = "OCM_SOAK_SERVER"
	// managedPrefix is of the repositories in which tags keep nothing.
	managedPrefix = "managed/"
	// scrubEvery and scrubRate make scrubs and everything else meet.
	scrubEvery = time.Second
	scrubRate  = 64 << 20
)

func serving() bool { return os.Getenv(asServer) != "" }

// orders is what the registry gets on its standard input. When that ends, so does the registry.
type orders struct {
	Dir, Address string
	Bundle       certs.Bundle
	Key          []byte
	// Roots is the URL that tells what has to stay.
	Roots string
	Lease time.Duration
	// Quota is how much may be kept.
	Quota int64
	// Collect is the time between two collections. With 0 there is one of everything that nothing keeps, and then the end.
	Collect time.Duration
}

// rootList is what the URL answers.
type rootList struct {
	Complete  bool
	Manifests []store.Root
}

func serve() int {
	var o orders
	if err := gob.NewDecoder(os.Stdin).Decode(&o); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "orders:", err)
		return 2
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := o.serve(ctx); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (o *orders) serve(ctx context.Context) (err error) {
	s, err := store.Open(o.Dir, store.Options{LeaseTTL: o.Lease, MaxBytes: o.Quota, Grace: o.Lease / 2})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if o.Collect == 0 {
		return o.collectAll(ctx, s)
	}
	issuer, err := auth.NewIssuer(o.Key, nil)
	if err != nil {
		return err
	}
	var dynamic certs.Dynamic
	if err := dynamic.Set(o.Bundle); err != nil {
		return err
	}
	h := registry.NewHandler(s, registry.Options{Authorizer: issuer, Probe: s.Check})
	defer h.Close()
	server := &registry.Server{Addr: o.Address, Handler: h, TLS: dynamic.Config(), Grace: time.Second}
	collector := &store.Collector{Store: s, Roots: asked(o.Roots), Interval: o.Collect, Report: func(stats store.CollectStats, err error) {
		o.tell("collected", stats, err)
	}}
	scrubber := &store.Scrubber{Store: s, Interval: scrubEvery, Rate: scrubRate}
	collecting, scrubbing := make(chan error, 1), make(chan error, 1)
	go func() { collecting <- collector.Run(ctx) }()
	go func() { scrubbing <- scrubber.Run(ctx) }()
	go func() {
		<-server.Ready()
		_, _ = fmt.Fprintln(os.Stdout, "ready", server.Address())
	}()
	return errors.Join(server.Run(ctx), <-collecting, <-scrubbing)
}

// collectAll collects with no leases. A second time there is nothing left to do.
func (o *orders) collectAll(ctx context.Context, s *store.Store) error {
	for range 2 {
		stats, err := s.Collect(ctx, asked(o.Roots))
		if err != nil {
			return err
		}
		o.tell("collected", stats, nil)
	}
	return nil
}

func (o *orders) tell(what string, stats store.CollectStats, err error) {
	if err != nil && !errors.Is(err, store.ErrRootsIncomplete) {
		_, _ = fmt.Fprintln(os.Stderr, "collection:", err)
	}
	_, _ = fmt.Fprintln(os.Stdout, what, stats.Manifests, stats.Blobs, stats.Bytes)
}

// asked asks the other process for the roots, as the operator asks the cluster.
type asked string

// Roots implements store.Roots.
func (a asked) Roots(ctx context.Context) (store.RootSet, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, string(a), http.NoBody)
	if err != nil {
		return store.RootSet{}, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return store.RootSet{}, err
	}
	defer resp.Body.Close()
	var list rootList
	if err := gob.NewDecoder(resp.Body).Decode(&list); err != nil {
		return store.RootSet{}, err
	}
	return store.RootSet{Complete: list.Complete, Manifests: list.Manifests, Managed: managed}, nil
}

func managed(repository string) bool { return strings.HasPrefix(repository, managedPrefix) }
