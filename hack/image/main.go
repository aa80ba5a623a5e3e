// Command image builds the container image of the operator without docker, from nothing but the program, the certificate
// authorities and two lines about its user. The same commit gives the same digest on any machine with the same release of Go; that is how
// a published image is checked. It prints what each name leads to.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ocm-operator/ocm-operator/hack/image/push"
	"github.com/ocm-operator/ocm-operator/hack/image/scratch"
)

const repository = "ghcr.io/ocm-operator/ocm-operator"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	platforms []scratch.Platform
	names     []string
	output    string
	binary    string
	push      bool
	plainHTTP bool
}

func run(ctx context.Context, args []string, out io.Writer) error {
	b, err := newBuilder(ctx)
	if err != nil {
		return err
	}
	o, err := parse(args, b.version, out)
	if err != nil {
		return err
	}
	archive, err := b.archive(ctx, o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.output), 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", o.output, err)
	}
	root, err := archive.WriteFile(o.output)
	if err != nil {
		return err
	}
	for _, name := range o.names {
		if o.push {
			if err := push.Archive(ctx, o.output, root, name, o.plainHTTP); err != nil {
				return err
			}
		}
		fmt.Fprintf(out, "%s@%s\n", name, root.Digest)
	}
	return nil
}

func parse(args []string, version string, out io.Writer) (options, error) {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(out)
	var o options
	platforms := flags.String("platforms", "linux/"+runtime.GOARCH, "what the image runs on, such as linux/amd64,linux/arm64")
	names := flags.String("tag", repository+":"+version, "complete names of the image, with registry and tag, separated by commas")
	flags.StringVar(&o.output, "o", filepath.Join("dist", "image.tar"), "the archive to write: an OCI image layout and an archive of docker's in one")
	flags.StringVar(&o.binary, "binary", "", "a program that was built already, in place of building it; {arch} stands for the architecture")
	flags.BoolVar(&o.push, "push", false, "push the image to its names, too, with the credentials of docker's configuration")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "push without TLS")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("only flags are understood, not %q", flags.Args())
	}
	for text := range strings.SplitSeq(*platforms, ",") {
		platform, err := scratch.ParsePlatform(text)
		if err != nil {
			return options{}, fmt.Errorf("-platforms: %w", err)
		}
		o.platforms = append(o.platforms, platform)
	}
	if len(o.platforms) > 1 && o.binary != "" && !strings.Contains(o.binary, "{arch}") {
		return options{}, errors.New("-binary: there is one program for each platform, so write {arch} where its architecture is")
	}
	o.names = strings.Split(*names, ",")
	for _, name := range o.names {
		if err := scratch.CheckName(name); err != nil {
			return options{}, fmt.Errorf("-tag: %w", err)
		}
	}
	return o, nil
}

// createdAt is the time that an image shows: SOURCE_DATE_EPOCH, as of every reproducible build, or that of the commit.
func createdAt(date string) (time.Time, error) {
	if text := os.Getenv("SOURCE_DATE_EPOCH"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%q: it has to be seconds since 1970: %w", text, err)
		}
		return time.Unix(seconds, 0), nil
	}
	created, err := time.Parse(time.RFC3339, date)
	if err != nil {
		// Sources without git have no date.
		return time.Time{}, nil //nolint:nilerr // The image then shows 1970.
	}
	return created, nil
}
