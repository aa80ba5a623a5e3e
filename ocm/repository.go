package ocm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/artifactset"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/versions"
)

// Limits bound what is accepted from a registry; a zero field means its
// default.
type Limits = oci.Limits

// Options configure a repository.
type Options struct {
	// Credentials are looked up by host and path, for the repository and for
	// every other place a resource may be; nil means anonymous access.
	Credentials *credentials.Store
	// Transport sends the requests. Nil is one that connects to no address that
	// Hosts refuses.
	Transport http.RoundTripper
	// HomeTransport sends the requests to the host of the repository itself,
	// Transport if nil. It is the one that may have a certificate of the client,
	// which is nobody else's business.
	HomeTransport http.RoundTripper
	// Connection is what the transports connect with: repositories share what Budget
	// and Memory know of a host only if they have it in common. One with a transport
	// that says nothing here shares it with nobody.
	Connection string
	// Hosts are the hosts that a component may lead to besides that of the
	// repository. Nil allows all but the addresses where clouds serve secrets to
	// their machines. A Transport that is given must be made with the same ones.
	Hosts *oci.Hosts
	// NameMapping tells how the repository of a component is named.
	NameMapping NameMapping
	// UserAgent is sent with each request.
	UserAgent string
	// Limits bound what is accepted.
	Limits Limits
	// Allow lists kinds of access whose content is read from web servers: "helm"
	// for chart repositories, "wget" for anything. The addresses come out of
	// component versions, so whoever can publish one can make this process send
	// requests to any address it can reach, such as services inside a cluster or
	// the metadata service of a cloud. Allow them for publishers that are trusted,
	// or where the network is guarded by other means. None is allowed by default.
	Allow []string
	// TempDir is where compressed transport archives are unpacked, the default
	// directory of the system if empty.
	TempDir string
	// Budget bounds what is sent to a host at once, by all repositories that are
	// opened with it; nil means no bounds. It counts what is sent through Transport,
	// whose maker must not count it, too.
	Budget *oci.Budget
	// Memory remembers listings and manifests of tags for all repositories that are
	// opened with it, so that what did not change is not sent again; nil means that
	// nothing is remembered.
	Memory *oci.Memory
	// Field is the field of an object that says where the repository is, for
	// messages; spec.repository by default.
	Field string
}

// Repository is a place component versions are stored in: a registry, or a
// directory or archive in the common transport format. It is safe for
// concurrent use.
type Repository struct {
	place   place
	client  *oci.Client
	remote  *access.Remote
	limits  Limits
	mapping NameMapping
}

// place is what Open and OpenCTF make different.
type place interface {
	// URL names the place.
	URL() string
	// Repository returns the repository at a path.
	Repository(path string) (oci.Storage, error)
	// Close ends the use of the place.
	Close() error
}

// Open returns the repository at a URL: host[:port][/path] with an optional
// https://, oci:// or http:// in front. Only http:// means plain HTTP. It sends
// no request.
func Open(url string, o Options) (*Repository, error) {
	location, err := oci.ParseURL(url)
	if err != nil {
		return nil, err
	}
	if err := o.NameMapping.check(); err != nil {
		return nil, err
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	client := o.client(location.Host)
	return o.repository(&registry{location: location, client: client}, client), nil
}

// complete fills in the transport.
func (o *Options) complete() error {
	if o.Transport != nil || o.Hosts == nil {
		return nil
	}
	transport, err := oci.NewTransport(oci.TransportOptions{Hosts: o.Hosts})
	o.Transport = transport
	return err
}

func (o Options) repository(p place, client *oci.Client) *Repository {
	if o.UserAgent == "" {
		o.UserAgent = defaultCreator
	}
	return &Repository{place: p, client: client, limits: o.Limits, mapping: o.NameMapping, remote: &access.Remote{
		Allow:       o.Allow,
		Transport:   o.Transport,
		Hosts:       o.Hosts,
		Budget:      o.Budget,
		Connection:  client.Connection(),
		UserAgent:   o.UserAgent,
		Credentials: o.Credentials,
		Redirects:   o.Limits.WithDefaults().Redirects,
		IndexBytes:  o.Limits.WithDefaults().ChartIndexBytes,
	}}
}

func (o Options) client(home string) *oci.Client {
	return oci.NewClient(oci.Options{
		Credentials:   o.Credentials,
		Transport:     o.Transport,
		Home:          home,
		HomeTransport: o.HomeTransport,
		Connection:    o.Connection,
		Hosts:         o.Hosts,
		UserAgent:     o.UserAgent,
		Limits:        o.Limits,
		Budget:        o.Budget,
		Memory:        o.Memory,
		Field:         o.Field,
	})
}

// registry is a place in an OCI registry.
type registry struct {
	location oci.Location
	client   *oci.Client
}

func (r *registry) URL() string { return r.location.String() }

func (r *registry) Repository(path string) (oci.Storage, error) {
	return r.client.Repository(r.location.Join(path))
}

func (r *registry) Close() error { return nil }

// URL returns the URL in its normal form, or the path of an archive.
func (r *Repository) URL() string { return r.place.URL() }

// Close ends the use of the repository. It writes an archive that was changed;
// for a registry there is nothing to do.
func (r *Repository) Close() error { return r.place.Close() }

// Storage returns the repository that the versions of a component are in, for
// whoever writes them piece by piece.
func (r *Repository) Storage(component string) (oci.Storage, error) {
	if err := r.mapping.checkWrite(); err != nil {
		return nil, err
	}
	return r.of(component)
}

// At returns the repository at a path below the URL, or in the archive, which
// may still be empty.
func (r *Repository) At(path string) (oci.Storage, error) { return r.place.Repository(path) }

// Archive tells a directory or an archive from a registry.
func (r *Repository) Archive() bool {
	p := r.place
	if both, ok := p.(beside); ok {
		p = both.place
	}
	_, is := p.(*transportArchive)
	return is
}

func (r *Repository) of(component string) (oci.Storage, error) {
	if err := descriptor.CheckName(component); err != nil {
		return nil, err
	}
	return r.place.Repository(r.mapping.path(component))
}

// ListVersions returns the versions of a component, newest first. Tags that
// are no version are left out.
func (r *Repository) ListVersions(ctx context.Context, component string) ([]string, error) {
	repo, err := r.of(component)
	if err != nil {
		return nil, err
	}
	found, err := list(ctx, repo)
	if errors.Is(err, ErrNotFound) && !isMissingArchive(err) {
		return nil, &NotFoundError{Repository: r.URL(), Component: component}
	}
	return found, err
}

func list(ctx context.Context, repo oci.Storage) ([]string, error) {
	tags, err := repo.Tags(ctx)
	if err != nil {
		return nil, err
	}
	for i, tag := range tags {
		tags[i] = oci.VersionOf(tag)
	}
	return versions.Sort(tags), nil
}

// Resolve returns the digest of the manifest of a version, which pins it. The
// digest is what the registry says; reading by it checks the content.
func (r *Repository) Resolve(ctx context.Context, component, version string) (digest.Digest, error) {
	repo, err := r.of(component)
	if err != nil {
		return "", err
	}
	tag, err := oci.TagOf(version)
	if err != nil {
		return "", err
	}
	d, err := repo.Resolve(ctx, tag)
	if errors.Is(err, ErrNotFound) {
		return "", r.missing(ctx, repo, component, version, err)
	}
	return d, err
}

// missing finds out whether the component or just the version is missing. It
// costs a request, but only when something is wrong.
func (r *Repository) missing(ctx context.Context, repo oci.Storage, component, version string, cause error) error {
	found, err := list(ctx, repo)
	unsure := errors.Is(cause, ErrUnsure)
	switch {
	case isMissingArchive(err):
		return err
	case unsure && slices.Contains(found, version):
		return cause
	case unsure && errors.Is(err, ErrUnsure) && errors.Is(err, ErrNotFound):
		return oci.Doubt(&NotFoundError{Repository: r.URL(), Component: component})
	case err == nil && len(found) > 0:
		return &NotFoundError{Repository: r.URL(), Component: component, Version: version, Available: found}
	case err == nil || errors.Is(err, ErrNotFound):
		return &NotFoundError{Repository: r.URL(), Component: component}
	}
	return cause
}

// Get reads a component version by its name.
func (r *Repository) Get(ctx context.Context, component, version string) (*ComponentVersion, error) {
	m, err := r.Tagged(ctx, component, version)
	if err != nil {
		return nil, err
	}
	return r.Read(ctx, component, version, m)
}

// Tagged reads the manifest that a version is tagged with, and nothing that it
// leads to. Its digest is the one that Resolve returns, and was compared with
// the bytes.
func (r *Repository) Tagged(ctx context.Context, component, version string) (*oci.Manifest, error) {
	repo, err := r.of(component)
	if err != nil {
		return nil, err
	}
	tag, err := oci.TagOf(version)
	if err != nil {
		return nil, err
	}
	m, err := repo.Manifest(ctx, tag)
	if errors.Is(err, ErrNotFound) {
		return nil, r.missing(ctx, repo, component, version, err)
	}
	if err != nil {
		return nil, err
	}
	m.Digest, err = m.Pin(fmt.Sprintf("manifest %s of %s", tag, repo))
	return m, err
}

// Read reads the component version that a manifest of the repository, as Tagged
// returns it, belongs to.
func (r *Repository) Read(ctx context.Context, component, version string, m *oci.Manifest) (*ComponentVersion, error) {
	repo, err := r.of(component)
	if err != nil {
		return nil, err
	}
	return r.read(ctx, repo, component, version, m)
}

// GetPinned reads a component version by the digest of its manifest. What the
// version is tagged with by now does not matter.
func (r *Repository) GetPinned(ctx context.Context, component, version string, manifest digest.Digest) (*ComponentVersion, error) {
	repo, err := r.of(component)
	if err != nil {
		return nil, err
	}
	if err := manifest.Validate(); err != nil {
		return nil, fmt.Errorf("%s:%s: manifest digest %q: %w", component, version, manifest, err)
	}
	m, err := repo.Manifest(ctx, manifest.String())
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%s:%s was deleted from the repository after it was pinned; publish it again: %w", component, version, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s:%s: %w", component, version, err)
	}
	return r.read(ctx, repo, component, version, m)
}

func (r *Repository) read(ctx context.Context, repo oci.Storage, component, version string, m *oci.Manifest) (*ComponentVersion, error) {
	c, err := oci.ReadComponent(ctx, repo, r.limits, component, version, m)
	if err != nil {
		return nil, err
	}
	return &ComponentVersion{source: access.Source{
		Client:     r.client,
		Repository: repo,
		Sibling:    r.place.Repository,
		Component:  c,
		Remote:     r.remote,
		Archives: artifactset.Limits{
			Entries:       r.limits.ArchiveEntries,
			Bytes:         r.limits.ArchiveBytes,
			ManifestBytes: r.limits.ManifestBytes,
		},
	}}, nil
}
