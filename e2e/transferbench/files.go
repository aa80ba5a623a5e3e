package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

// file is what a server without any registry serves and takes.
type file struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// copyFiles copies files, with two requests for each.
func copyFiles(ctx context.Context, j job) error {
	p := newPipe(j)
	defer p.http.CloseIdleConnections()
	return inParallel(ctx, j.Concurrency, j.Files, func(ctx context.Context, f file) error {
		resp, err := p.send(ctx, j.Source, http.StatusOK, http.MethodGet, j.Source.URL+"/"+f.Name, measure.Body{})
		if err != nil {
			return err
		}
		_, err = finish(p.send(ctx, j.Target, http.StatusCreated, http.MethodPut, j.Target.URL+"/"+f.Name+"?sync", measure.Body{Reader: resp.Body, Size: f.Size}))
		return errors.Join(err, resp.Body.Close())
	})
}

// writeFile makes the file of a blob.
func (c *cargo) writeFile(path string, b blob) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write a blob to a file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, c.open(b)); err != nil {
		return fmt.Errorf("write a blob to a file: %w", err)
	}
	return nil
}
