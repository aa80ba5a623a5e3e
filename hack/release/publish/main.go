// Command publish pushes a release to a registry: the image from its archive, and the package of the chart. Both are looked at before the first byte is
// written, and when a name leads to something else already, nothing is: what was published stays what it is. It is the program that runs with the
// right to publish, so it is made of few modules; that is why Helm, which is made of hundreds, does not push the chart.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	image     string
	archive   string
	chart     string
	pkg       string
	plainHTTP bool
}

// run prints the digest of each as "image=sha256:...", which a workflow takes as its outputs.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	image, err := readImage(ctx, o.archive, o.image)
	if err != nil {
		return err
	}
	chart, err := readChart(ctx, o.pkg, o.chart)
	if err != nil {
		return err
	}
	artifacts := []*artifact{image, chart}
	for _, a := range artifacts {
		if err := a.open(o.plainHTTP); err != nil {
			return err
		}
		if err := a.check(ctx); err != nil {
			return err
		}
	}
	for _, a := range artifacts {
		if err := a.push(ctx); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s=%s\n", a.what, a.root.Digest)
	}
	return nil
}

func parse(args []string, out io.Writer) (options, error) {
	flags := flag.NewFlagSet("publish", flag.ContinueOnError)
	flags.SetOutput(out)
	var o options
	flags.StringVar(&o.image, "image", "", "name of the image, with registry and tag, such as ghcr.io/owner/name:v0.1.0")
	flags.StringVar(&o.archive, "archive", "", "the archive of the image, as hack/image writes it")
	flags.StringVar(&o.chart, "chart", "", "name of the chart, with registry and tag, such as ghcr.io/owner/charts/name:0.1.0")
	flags.StringVar(&o.pkg, "package", "", "the package of the chart, as helm package writes it")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "push without TLS")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 || o.image == "" || o.archive == "" || o.chart == "" || o.pkg == "" {
		return options{}, errors.New("-image, -archive, -chart and -package are needed, and nothing but flags")
	}
	return o, nil
}
