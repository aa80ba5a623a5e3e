package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
	"github.com/ocm-operator/ocm-operator/e2e/server"
	"github.com/ocm-operator/ocm-operator/registry"
)

// copyCommand makes this program a copier: a process of its own, so that its memory and CPU time are nobody else's.
const copyCommand = "copy"

// end is a registry that is copied from or to.
type end struct {
	URL      string `json:"url"`
	Username string `json:"username"`
	Password string `json:"password"`
}

func endOf(c *measure.Contestant) end {
	return end{URL: c.URL, Username: c.Username, Password: c.Password}
}

// job says what to copy, and how.
type job struct {
	// How is the name of a way to copy.
	How string `json:"how"`
	// Source and Target are the registries.
	Source end `json:"source"`
	Target end `json:"target"`
	// Artifacts are the repositories that have something to copy.
	Artifacts []string `json:"artifacts"`
	// Files are in their place at servers that are no registries.
	Files []file `json:"files"`
	// Concurrency is how many blobs are copied at once.
	Concurrency int `json:"concurrency"`
	// ReadBack tells whether what was copied is read and compared, as far as resources promise a digest of it: local blobs and manifests.
	ReadBack bool `json:"readBack"`
}

// ways are the ways to copy.
var ways = map[string]func(context.Context, job) error{
	plain: copyPlain,
	oras:  copyOras,
	ours:  copyOurs,

	machine: copyFiles,
}

// serveCopies is the life of a copier: it does one job for each request.
func serveCopies(ctx context.Context) error {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var j job
		err := json.NewDecoder(r.Body).Decode(&j)
		if err == nil {
			err = j.run(r.Context())
		}
		if err == nil {
			return
		}
		http.Error(w, err.Error(), http.StatusInternalServerError)
	})
	return measure.ServeHandler(ctx, &registry.Server{Handler: handler})
}

func (j job) run(ctx context.Context) error {
	way, known := ways[j.How]
	if !known {
		return fmt.Errorf("nothing copies as %q", j.How)
	}
	return way(ctx, j)
}

// order lets a copier do a job.
func order(ctx context.Context, copier *server.Process, j job) error {
	raw, err := json.Marshal(j)
	if err != nil {
		return err
	}
	body := measure.Bytes(raw)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+copier.Address(), body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	complaint, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	return errors.Join(fmt.Errorf("copy as %s: %s", j.How, complaint), err)
}
