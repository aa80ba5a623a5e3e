package access

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	guarded "github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/turns"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// Options of a Provider.
type Options struct {
	// Live reads Secrets and ServiceAccounts past the cache.
	Live client.Reader
	// UserAgent is sent to registries.
	UserAgent string
	// Transport carries requests where no Secret says how to connect; nil is one with time limits, which connects to allowed
	// hosts only.
	Transport http.RoundTripper
	// AllowedHosts are the hosts that components may lead to beside the registry that they are in, as in the flag
	// --allowed-hosts.
	AllowedHosts []string
	// AccessMethods are the kinds of access that read from web servers, as in the flag --enable-access-methods.
	AccessMethods []string
	// Limits bound what is accepted from repositories; a zero field means its default.
	Limits ocm.Limits
	// Identities makes tokens of ServiceAccounts, so that objects can log in at clouds with an identity of their own; nil
	// refuses that.
	Identities client.Client
	// NoOperatorIdentity refuses objects without a ServiceAccount that want to log in at a cloud, as in the flag
	// --no-operator-identity.
	NoOperatorIdentity bool
	// Repositories and Versions bound how many opened repositories and component descriptors are remembered; zero is a
	// default of 256 and 512.
	Repositories, Versions int
	// Checks and ChecksPerVersion bound how many contents are read at once to verify component versions, for all of a namespace
	// and a host, and for one; zero is a default of 16 and 4.
	Checks, ChecksPerVersion int
	// Proofs and Contents bound how many verified component versions, and how many proven contents, are remembered; zero is a
	// default of 256 and 16384.
	Proofs, Contents int
	// Archives say where transport archives are.
	Archives ArchiveOptions
	// Embedded are the addresses, with ports, of the registry that the operator serves itself.
	Embedded []string
	// Metrics is where the metrics of verifications are registered; nil is nowhere.
	Metrics prometheus.Registerer
	// Now is the time that certificates are checked at; nil is the current time.
	Now func() time.Time
}

// complete fills in the defaults.
func (o *Options) complete() {
	for _, bound := range []struct {
		value *int
		usual int
	}{
		{&o.Repositories, 256}, {&o.Versions, 512}, {&o.Checks, 16}, {&o.ChecksPerVersion, 4}, {&o.Proofs, 256}, {&o.Contents, 16384},
	} {
		if *bound.value == 0 {
			*bound.value = bound.usual
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

const (
	// readTimeout bounds the reading of one component descriptor.
	readTimeout = 2 * time.Minute
	// maxRemembered is how large a component descriptor may be to be remembered. Larger ones are rare, and read
	// again rather than kept in memory.
	maxRemembered = 128 << 10
)

// Provider opens component repositories.
type Provider struct {
	opts         Options
	repositories memory[*Repository]
	versions     memory[*ocm.ComponentVersion]
	flight       singleflight.Group
	hosts        *oci.Hosts
	transports   *transports
	identities   *identities
	// budget bounds what registries are asked at once, and answered is what they need not send again.
	budget   *oci.Budget
	answered *oci.Memory
	// listings and tags are answers that objects of one component share.
	listings *board[[]string]
	tags     *board[tagged]
	wakes    *wakes
	proofs   *proofs
	archives *archives
	embedded embedded
}

// New returns a Provider.
func New(o Options) (*Provider, error) {
	if o.Live == nil {
		return nil, fmt.Errorf("options are incomplete: Live is required")
	}
	o.complete()
	for _, method := range o.AccessMethods {
		if !slices.Contains(guarded.Guarded(), method) {
			return nil, fmt.Errorf("--enable-access-methods: %q is not known, known are %s", method, strings.Join(guarded.Guarded(), ", "))
		}
	}
	hosts, err := oci.ParseHosts(o.AllowedHosts)
	if err != nil {
		return nil, fmt.Errorf("--allowed-hosts: %w", err)
	}
	identities, err := newIdentities(o.Identities)
	if err != nil {
		return nil, err
	}
	metrics, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, err
	}
	archives, err := newArchives(o)
	if err != nil {
		return nil, err
	}
	asleep := &wakes{}
	return &Provider{
		budget: metrics.budget(), answered: metrics.memory(),
		wakes: asleep, listings: newBoard[[]string](metrics.board(aboutVersions), asleep.wake), tags: newBoard[tagged](metrics.board(aboutDigests), asleep.wake),
		opts: o, hosts: hosts, identities: identities, transports: newTransports(hosts, o.Transport, maxTransports),
		repositories: newMemory[*Repository](o.Repositories), versions: newMemory[*ocm.ComponentVersion](o.Versions),
		archives: archives, embedded: newEmbedded(o.Embedded),
		proofs: &proofs{
			now: o.Now, metrics: metrics, verdicts: newMemory[verdict](o.Proofs), contents: newMemory[struct{}](o.Contents),
			slots: turns.New[slotKey](o.Checks), running: map[string]*verification{},
		},
	}, nil
}

// Repository is an opened component repository, as one object uses it.
type Repository struct {
	*ocm.Repository
	// key is the address and the credentials that the repository was opened with.
	key      string
	provider *Provider
	user     User
	// archive is set if it is a file or a folder that can be written to.
	archive *archiveTarget
}

// as returns the repository for another object with the same access.
func (r *Repository) as(user User) *Repository {
	own := *r
	own.user = user
	return &own
}

// Source opens the repository that a component version is followed in. It returns an *UnusableError when something that the user has
// to provide is missing.
func (p *Provider) Source(ctx context.Context, cv *v1alpha1.ComponentVersion) (*Repository, error) {
	return p.Open(ctx, ComponentVersionUser(cv), cv.Spec.Repository, repositoryField)
}

// Effective opens the repository that the accepted version of a component version is read from: its destination, once the version
// was transferred there, with what the spec says of that.
func (p *Provider) Effective(ctx context.Context, cv *v1alpha1.ComponentVersion) (*Repository, error) {
	url, destination := cv.Status.ReplicatedRepositoryURL, cv.Spec.Destination
	if destination != nil && destination.URL == url {
		return p.Open(ctx, ComponentVersionUser(cv), *destination, destinationField)
	}
	return p.open(ctx, ComponentVersionUser(cv), cv.Spec.Repository, repositoryField, url)
}

// Open opens a repository for an object with the credentials that the spec names for it, and no others: each repository of an
// object has its own, also at the same host. The field is where it stands in the spec, such as spec.source, and goes into
// messages. It returns an *UnusableError when something that the user has to provide is missing. Nothing is sent before the
// repository is used.
func (p *Provider) Open(ctx context.Context, user User, repository v1alpha1.Repository, field string) (*Repository, error) {
	return p.open(ctx, user, repository, field, repository.URL)
}

// open opens a repository that lies at another address than the spec says, if the spec has changed since. What the spec names
// is for the host that the spec names.
func (p *Provider) open(ctx context.Context, user User, repository v1alpha1.Repository, field, url string) (*Repository, error) {
	found, err := p.gather(ctx, user, repository, field)
	if err != nil {
		return nil, err
	}
	if hostOf(url) != hostOf(repository.URL) {
		found.connection, found.fingerprint = found.connection.forOthers(), found.fingerprint+" elsewhere"
	}
	repository.URL = url
	if isArchive(url) {
		return p.openArchive(ctx, user, repository, field, found)
	}
	if field == destinationField {
		if err := p.embedded.check(url); err != nil {
			return nil, lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("%s.url: %w", field, err))
		}
	}
	key := fmt.Sprintf("%s %s %s %s", field, url, repository.ComponentNameMapping, found.fingerprint)
	if known, ok := p.repositories.get(key); ok {
		return known.as(user), nil
	}
	options, err := p.options(found)
	if err != nil {
		// Only certificates can be wrong here, and they come from one Secret.
		return nil, &UnusableError{Kind: "Secret", Namespace: user.Namespace, Name: nameOf(repository.CertSecretRef), Why: "can't be used for TLS: " + err.Error()}
	}
	options.NameMapping, options.Field = ocm.NameMapping(repository.ComponentNameMapping), field
	opened, err := ocm.Open(url, options)
	if err != nil {
		return nil, lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("%s.url: %w", field, err))
	}
	r := &Repository{Repository: opened, key: fmt.Sprintf("%s %s %s", opened.URL(), repository.ComponentNameMapping, found.fingerprint), provider: p}
	p.repositories.add(key, r)
	return r.as(user), nil
}

func nameOf(ref *meta.LocalObjectReference) string {
	if ref == nil {
		return ""
	}
	return ref.Name
}

func (p *Provider) options(found gathered) (ocm.Options, error) {
	home, err := p.transports.get(found.connection)
	if err != nil {
		return ocm.Options{}, err
	}
	others, err := p.transports.get(found.connection.forOthers())
	return ocm.Options{
		Credentials: found.store, Transport: others, HomeTransport: home, Hosts: p.hosts, Allow: p.opts.AccessMethods, UserAgent: p.opts.UserAgent,
		Limits: p.opts.Limits, Budget: p.budget, Memory: p.answered, Connection: found.connection.fingerprint(),
	}, err
}

// small tells whether a component descriptor is small enough to be remembered.
func small(version *ocm.ComponentVersion) bool {
	raw, err := descriptor.Encode(version.Descriptor())
	return err == nil && len(raw) <= maxRemembered
}

// ChartType is the type of resources that are packed Helm charts.
const ChartType = "helmChart"

// Selector returns the selector of the OCM client for a reference to a resource.
func Selector(ref v1alpha1.ResourceReference) descriptor.Selector {
	selector := descriptor.Selector{Name: ref.Name, ExtraIdentity: ref.ExtraIdentity}
	if !ref.AnyVersion() {
		selector.Version = ref.Version
	}
	return selector
}
