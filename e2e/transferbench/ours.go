package main

import (
	"context"

	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// copyOurs transfers the component version with everything that it has.
func copyOurs(ctx context.Context, j job) error {
	source, err := open(j.Source.URL+"/"+from, j.Source.Username, j.Source.Password)
	if err != nil {
		return err
	}
	destination, err := open(j.Target.URL+"/"+to, j.Target.Username, j.Target.Password)
	if err != nil {
		return err
	}
	o := transfer.Options{Concurrency: j.Concurrency, Confirm: transfer.ConfirmDescriptors}
	if j.ReadBack {
		o.Confirm = transfer.ConfirmContents
	}
	_, err = transfer.Run(ctx, source, destination, component, version, o)
	return err
}
