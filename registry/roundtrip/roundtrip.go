// Package roundtrip proves that a registry can be used from where it runs: with a credential, and over TLS unless it is told
// otherwise, it pushes an artifact, pulls it back and deletes it again. It is what the pod of `helm test` does. It knows
// nothing of the cluster: addresses are flags, and secrets are files.
package roundtrip

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

const (
	// command is the first argument of a process that tests.
	command = "test-registry"
	// tag is what the artifact is pushed and pulled by.
	tag = "test"
	// blobBytes is more than a registry answers from a buffer.
	blobBytes = 256 << 10
	// pause is the time between two questions whether the registry answers.
	pause = 500 * time.Millisecond
)

// artifactType is that of what is pushed.
const artifactType = "application/vnd.ocm-operator.roundtrip"

// Requested tells from the arguments of the program, without its name, whether it is started to test a registry.
func Requested(args []string) bool { return len(args) > 0 && args[0] == command }

// options is the command line.
type options struct {
	// registry is host and port, and repository what is written to and deleted from.
	registry, repository string
	// keyFile holds the key that the credentials of the embedded registry are sealed with.
	keyFile string
	// dockerConfig holds the credentials of another registry.
	dockerConfig string
	// caFile holds the certificates that the registry is trusted by; those of the system are where it does not exist.
	caFile string
	// plainHTTP leaves TLS out.
	plainHTTP bool
	// strangers says that nobody needs a credential to read.
	strangers bool
	// timeout bounds everything, and with it how long the registry may take to start.
	timeout time.Duration
}

// Run does what the arguments ask for, and writes to out what came of each step.
func Run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args[1:], out)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	repository, anonymous, err := o.connect()
	if err != nil {
		return err
	}
	t := &test{options: o, repository: repository, anonymous: anonymous, out: out}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"wait for the registry", t.wait},
		{"look without a credential", t.stranger},
		{"push", t.push},
		{"pull", t.pull},
		{"delete", t.remove},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %s/%s: %w", step.what, o.registry, o.repository, err)
		}
	}
	fmt.Fprintln(out, "The registry works.")
	return nil
}

func parse(args []string, out io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet(command, flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.registry, "registry", "", "Host and port of the registry.")
	f.StringVar(&o.repository, "repository", "", "Repository that is written to and deleted from.")
	f.StringVar(&o.keyFile, "key-file", "", "File with the key of the operator's registry, by which a credential is made.")
	f.StringVar(&o.dockerConfig, "docker-config", "", "File in the form of a docker config, with a credential of another registry.")
	f.StringVar(&o.caFile, "ca-file", "", "File with the certificates that the registry is trusted by; if there is none, those of the system are.")
	f.BoolVar(&o.plainHTTP, "plain-http", false, "Speak without TLS.")
	f.BoolVar(&o.strangers, "anonymous-pull", false, "Don't want that those without a credential are refused.")
	f.DurationVar(&o.timeout, "timeout", 2*time.Minute, "Time for everything.")
	switch err := f.Parse(args); {
	case err != nil:
		return nil, err
	case f.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: everything is set by flags", f.Arg(0))
	case o.registry == "" || o.repository == "":
		return nil, errors.New("--registry and --repository must say what is tested")
	case o.keyFile != "" && o.dockerConfig != "":
		return nil, errors.New("--key-file and --docker-config both give a credential: drop one of them")
	}
	return o, nil
}

// test is one run.
type test struct {
	*options
	repository *remote.Repository
	// anonymous is a client of the same registry without a credential.
	anonymous *http.Client
	out       io.Writer

	manifest, layer ocispec.Descriptor
}

// wait asks until the registry answers. It may just have been started.
func (t *test) wait(ctx context.Context) error {
	registry := &remote.Registry{RepositoryOptions: remote.RepositoryOptions{Client: t.repository.Client, Reference: t.repository.Reference, PlainHTTP: t.plainHTTP}}
	var why error
	for {
		err := registry.Ping(ctx)
		if err == nil {
			fmt.Fprintf(t.out, "The registry at %s answers and takes the credential.\n", t.registry)
			return nil
		}
		if refused := new(errcode.ErrorResponse); errors.As(err, &refused) && refused.StatusCode < http.StatusInternalServerError && refused.StatusCode != http.StatusTooManyRequests {
			return err
		}
		if why == nil || ctx.Err() == nil { // that the time is over says less than what was wrong before
			why = err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("it does not answer within %s, look at the pods of the operator and at what is between: %w", t.timeout, why)
		case <-timer.C:
		}
	}
}

// stranger wants that who has no credential is refused.
func (t *test) stranger(ctx context.Context) error {
	if t.strangers {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url()+"/v2/"+t.options.repository+"/tags/list", http.NoBody)
	if err != nil {
		return err
	}
	response, err := t.anonymous.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("it answers %s to a stranger, want 401: is --anonymous-pull meant, or is that another registry?", response.Status)
	}
	fmt.Fprintln(t.out, "It refuses who has no credential.")
	return nil
}

// push writes an artifact that nobody has written before.
func (t *test) push(ctx context.Context) error {
	blob := make([]byte, blobBytes)
	if _, err := rand.Read(blob); err != nil {
		return err
	}
	local := memory.New()
	var err error
	if t.layer, err = oras.PushBytes(ctx, local, artifactType, blob); err != nil {
		return err
	}
	t.manifest, err = oras.PackManifest(ctx, local, oras.PackManifestVersion1_1, artifactType, oras.PackManifestOptions{Layers: []ocispec.Descriptor{t.layer}})
	if err != nil {
		return err
	}
	if err := local.Tag(ctx, t.manifest, tag); err != nil {
		return err
	}
	if _, err := oras.Copy(ctx, local, tag, t.repository, tag, oras.DefaultCopyOptions); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "It has taken a blob of %d bytes, %s, and a manifest, %s.\n", t.layer.Size, t.layer.Digest, t.manifest.Digest)
	return nil
}

// pull reads everything again, and compares it with what was written.
func (t *test) pull(ctx context.Context) error {
	found, err := t.repository.Resolve(ctx, tag)
	if err != nil {
		return err
	}
	if found.Digest != t.manifest.Digest {
		return fmt.Errorf("tag %s leads to %s, want %s: does something else write to this repository?", tag, found.Digest, t.manifest.Digest)
	}
	manifest, err := content.FetchAll(ctx, t.repository, t.manifest)
	if err != nil {
		return err
	}
	blob, err := content.FetchAll(ctx, t.repository.Blobs(), t.layer)
	if err != nil {
		return err
	}
	if digest.FromBytes(blob) != t.layer.Digest || !bytes.Contains(manifest, []byte(t.layer.Digest)) {
		return errors.New("what was read is not what was written")
	}
	fmt.Fprintln(t.out, "It has given back both as they were.")
	return nil
}

// remove deletes the manifest. What it named is collected by the registry. The operator puts up with a registry of others that deletes nothing.
func (t *test) remove(ctx context.Context) error {
	err := t.repository.Delete(ctx, t.manifest)
	if t.keyFile == "" && undeletable(err) {
		fmt.Fprintln(t.out, "It deletes nothing for its clients: this stays there, and so will what Snapshots need no more.")
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := t.repository.Resolve(ctx, t.manifest.Digest.String()); !errors.Is(err, errdef.ErrNotFound) {
		return fmt.Errorf("the manifest %s is still there after it was deleted (%v)", t.manifest.Digest, err) //nolint:errorlint // no error is wrong here, too
	}
	fmt.Fprintln(t.out, "It has deleted the manifest.")
	return nil
}

// undeletable tells whether an error is that of a registry which deletes nothing for its clients.
func undeletable(err error) bool {
	answer, ok := errors.AsType[*errcode.ErrorResponse](err)
	return ok && (answer.StatusCode == http.StatusMethodNotAllowed || slices.ContainsFunc(answer.Errors, func(e errcode.Error) bool {
		return e.Code == errcode.ErrorCodeUnsupported
	}))
}
