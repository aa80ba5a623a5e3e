// Package options holds the operator's command line: every flag, its default and its bounds.
package options

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/fluxcd/pkg/runtime/jitter"
	"github.com/fluxcd/pkg/runtime/leaderelection"
	"github.com/fluxcd/pkg/runtime/logger"
)

// ErrHelp says that help or the version was printed, and nothing else is to be done.
var ErrHelp = pflag.ErrHelp

// maxHistory is what the status of a Snapshot has room for.
const maxHistory = 64

// Options is the command line.
type Options struct {
	// Features switches plugins, as in "GitSync=false".
	Features string
	// Namespace is where the operator keeps its own Secrets and its lease.
	Namespace string
	// WatchNamespace restricts the operator to one namespace; empty means all.
	WatchNamespace string
	// Concurrent is how many objects of a kind are reconciled at once.
	Concurrent int
	// ConcurrentKinds is the same for some kinds.
	ConcurrentKinds map[string]int
	// MetricsAddr, HealthAddr and EventsAddr are where metrics and probes are served, and where events are posted.
	MetricsAddr, HealthAddr, EventsAddr string
	// PprofAddr is where profiles are served; empty switches them off.
	PprofAddr string
	// MinRetryDelay and MaxRetryDelay bound the backoff after passing faults.
	MinRetryDelay, MaxRetryDelay time.Duration
	// NoCrossNamespaceRefs refuses references into other namespaces.
	NoCrossNamespaceRefs bool
	// DenyUnprotected denies resources whose content no signature can protect.
	DenyUnprotected bool
	// KubeQPS and KubeBurst bound the requests to the API server.
	KubeQPS   float32
	KubeBurst int
	// MaxResourceSize bounds a resource in bytes, as it is stored in its repository.
	MaxResourceSize int64
	// AccessMethods are the kinds of access that read from web servers which components name.
	AccessMethods []string
	// AllowedHosts are the hosts that components may lead to; none means all.
	AllowedHosts []string
	// ObjectIdentity lets objects log in at clouds with the identity of their ServiceAccount.
	ObjectIdentity bool
	// NoOperatorIdentity refuses that objects log in at clouds with the identity of the operator.
	NoOperatorIdentity bool
	// SnapshotRecheck is the time after which the presence of a snapshot's content is proved again.
	SnapshotRecheck time.Duration

	// Limits bounds what Localizations and Configurations read and compute.
	Limits Limits
	// Transfers bounds the copies between component repositories.
	Transfers Transfers
	// Archives says where transport archives are.
	Archives Archives
	// Git bounds what GitSyncs do.
	Git Git
	// Secrets says how changes of Secrets are noticed.
	Secrets Secrets
	// Registry configures the embedded registry.
	Registry Registry
	// External configures the registry that is used in its place.
	External External
	// Leader configures the leader election.
	Leader leaderelection.Options
	// LeaseName is the lease by which replicas elect their leader.
	LeaseName string
	// Log configures the log.
	Log logger.Options
	// Jitter configures by how much intervals differ.
	Jitter jitter.IntervalOptions
}

// Registry configures the embedded registry.
type Registry struct {
	// Listen is the address that the registry listens on.
	Listen string
	// Address is host and port under which Flux reaches it.
	Address string
	// Advertise is host and port under which other replicas reach this one; empty when only the network can tell.
	Advertise string
	// Dir is where it keeps its content, and where that is on its way to a registry in its place.
	Dir string
	// PlainHTTP switches TLS off.
	PlainHTTP bool
	// Anonymous lets everybody pull.
	Anonymous bool
	// TokenAuth lets those pull whose ServiceAccounts may get snapshots/content, and TokenAudience is the audience of their tokens.
	TokenAuth     bool
	TokenAudience string
	// CertSecret is the Secret that holds its certificates.
	CertSecret string
	// MaxBlobBytes bounds a blob that it keeps, and MaxStagedBytes all blobs together that are being written, to either registry.
	MaxBlobBytes, MaxStagedBytes int64
	// Room bounds everything that it keeps.
	Room Room
	// Artifacts tells whether Flux is to read snapshots as ExternalArtifacts, which are served beside the registry.
	Artifacts bool
	// ArtifactListen is the address that they are served on, and ArtifactAddress host and port under which Flux reaches it.
	ArtifactListen, ArtifactAddress string
	// History is how much of the content that a Snapshot stood for before stays.
	History int
	// CollectInterval is the time between two collections of content that nothing refers to.
	CollectInterval time.Duration
	// KeySecret is the Secret that holds the key of its credentials.
	KeySecret string
	// WriterSecret is the Secret that gets a credential which may write to it; there is none when it is empty.
	WriterSecret string
}

// Parse reads the command line. The description of the features is part of the help, which is written to out.
func Parse(args []string, features, version string, out io.Writer) (*Options, error) {
	o := &Options{}
	flags := pflag.NewFlagSet("ocm-operator", pflag.ContinueOnError)
	flags.SetOutput(out)
	flags.SortFlags = false
	flags.Usage = func() {
		fmt.Fprintf(out, "ocm-operator %s delivers software described with the Open Component Model to Kubernetes, through Flux.\n\n"+
			"Usage: ocm-operator [flags]\n\nFlags:\n%s\nFeatures:%s\n", version, flags.FlagUsagesWrapped(120), features)
	}
	o.bind(flags)
	showVersion := flags.Bool("version", false, "Print the version and exit.")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if *showVersion {
		fmt.Fprintln(out, version)
		return nil, ErrHelp
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: everything is set by flags, see --help", flags.Arg(0))
	}
	if err := o.External.alone(flags); err != nil {
		return nil, err
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *Options) bind(f *pflag.FlagSet) {
	f.StringVar(&o.Features, "features", "", "Features to switch, as in Localization=false,FluxDeployer=true; see below.")
	f.StringVar(&o.Namespace, "runtime-namespace", envOr("RUNTIME_NAMESPACE", "ocm-system"),
		"Namespace of the operator's own Secrets and lease; the default is taken from RUNTIME_NAMESPACE.")
	f.StringVar(&o.WatchNamespace, "watch-namespace", "", "The only namespace to watch; empty watches all.")
	o.bindWorkers(f)
	f.BoolVar(&o.NoCrossNamespaceRefs, "no-cross-namespace-refs", false, "Refuse references to objects in other namespaces.")
	f.BoolVar(&o.DenyUnprotected, "deny-unprotected-resources", false,
		"Deny content and images of resources that no signature can protect: those without a digest, and those that are excluded from signing.")
	f.DurationVar(&o.MinRetryDelay, "min-retry-delay", 750*time.Millisecond, "First delay of the backoff after a passing fault.")
	f.DurationVar(&o.MaxRetryDelay, "max-retry-delay", 15*time.Minute, "Longest delay of the backoff after passing faults.")
	o.Jitter.BindFlags(f)
	f.Int64Var(&o.MaxResourceSize, "max-resource-size", 8<<30, "Largest resource in bytes, as it is stored in its repository.")
	o.Limits.bind(f)
	f.StringSliceVar(&o.AccessMethods, "enable-access-methods", nil,
		"Kinds of access to resources that read from web servers which components name: helm, wget. None is enabled by default.")
	f.StringSliceVar(&o.AllowedHosts, "allowed-hosts", nil,
		"Hosts that components may lead to beside their own registry, as in ghcr.io,*.example.com,10.0.0.1:5000. "+
			"The default is all but the operator itself and link-local addresses, where clouds serve secrets to their machines.")
	f.BoolVar(&o.ObjectIdentity, "object-level-workload-identity", false,
		"Let ComponentVersions log in at a cloud with the identity of their ServiceAccount.")
	f.BoolVar(&o.NoOperatorIdentity, "no-operator-identity", false,
		"Refuse that ComponentVersions without a ServiceAccount log in at a cloud with the identity of the operator.")
	o.Archives.bind(f)
	o.Git.bind(f)
	o.Secrets.bind(f)
	f.DurationVar(&o.SnapshotRecheck, "snapshot-recheck-interval", 10*time.Minute, "Time after which the presence of a snapshot's content is proved again.")
	f.IntVar(&o.Registry.History, "snapshot-history", 2,
		"How many contents that a Snapshot stood for before stay in the registry while there is room, 0 to 64, so that going back to them is quick.")

	o.Registry.bind(f)
	o.External.bind(f)

	f.Float32Var(&o.KubeQPS, "kube-api-qps", 200, "Requests a second to the API server on average.")
	f.IntVar(&o.KubeBurst, "kube-api-burst", 400, "Requests to the API server at once.")
	f.StringVar(&o.MetricsAddr, "metrics-addr", ":8080", "Address that metrics are served on; 0 switches them off.")
	f.StringVar(&o.HealthAddr, "health-addr", ":9440", "Address that /healthz and /readyz are served on.")
	f.StringVar(&o.PprofAddr, "pprof-addr", "", "Address that profiles are served on under /debug/pprof/, such as localhost:6060; empty switches them off.")
	f.StringVar(&o.EventsAddr, "events-addr", "", "URL that events are posted to besides, such as "+
		"http://notification-controller.flux-system.svc.cluster.local./ of Flux.")
	f.StringVar(&o.LeaseName, "leader-election-id", "ocm-operator-leader",
		"Lease by which the replicas of an installation elect their leader. Two installations in a namespace need two.")
	o.Leader.BindFlags(f)
	o.Log.BindFlags(f)
}

func (r *Registry) bind(f *pflag.FlagSet) {
	f.StringVar(&r.Listen, "registry-listen", ":5000", "Address that the embedded registry listens on.")
	f.StringVar(&r.Address, "registry-address", "",
		"Host and port under which Flux reaches the embedded registry; the default is the service ocm-operator of the operator's namespace.")
	f.StringVar(&r.Advertise, "registry-advertise-address", "",
		"Host and port under which other replicas reach the embedded registry of this one. "+
			"The default has the host of --registry-listen, or POD_IP, or the address from which the API server is asked.")
	f.StringVar(&r.Dir, "registry-dir", filepath.Join(os.TempDir(), "ocm-registry"),
		"Folder in which the embedded registry keeps its content; with --snapshot-registry, only what is on its way there.")
	f.Int64Var(&r.MaxBlobBytes, "registry-max-blob-size", 16<<30,
		"Largest blob in bytes that the embedded registry keeps, or that is written to --snapshot-registry.")
	f.Int64Var(&r.MaxStagedBytes, "registry-max-staged-size", 32<<30,
		"Bytes of disk that all blobs may take together while they are being written, to --snapshot-registry as well.")
	r.Room.bind(f)
	f.DurationVar(&r.CollectInterval, "registry-collect-interval", 10*time.Minute,
		"Time between two collections of content that neither a Snapshot nor a FluxDeployer refers to; nothing is collected within an hour of its last use while there is room.")
	f.BoolVar(&r.PlainHTTP, "registry-plain-http", false, "Serve the embedded registry without TLS.")
	f.BoolVar(&r.Anonymous, "registry-anonymous-pull", false, "Let everybody pull from the embedded registry.")
	f.BoolVar(&r.TokenAuth, "registry-token-auth", true,
		"Let those pull from the embedded registry who have the token of a ServiceAccount that may get snapshots/content.")
	f.StringVar(&r.TokenAudience, "registry-token-audience", "ocm-registry", "Audience that these tokens must have.")
	f.StringVar(&r.CertSecret, "registry-cert-secret", "ocm-registry-tls-certs",
		"Secret with the certificates of the embedded registry; made by the operator if it doesn't exist.")
	f.StringVar(&r.KeySecret, "registry-key-secret", "ocm-registry-key",
		"Secret with the key of the embedded registry's credentials; made by the operator if it doesn't exist.")
	f.StringVar(&r.WriterSecret, "registry-writer-secret", "",
		"Secret of type kubernetes.io/dockerconfigjson in which the operator keeps a credential that may write to the whole embedded registry; empty for none.")

	f.BoolVar(&r.Artifacts, "external-artifacts", false,
		"Hand snapshots to Flux as ExternalArtifacts where its controllers take them, so that it needs neither credentials nor certificates.")
	f.StringVar(&r.ArtifactListen, "artifact-addr", ":9790", "Address that ExternalArtifacts are served on, over plain HTTP.")
	f.StringVar(&r.ArtifactAddress, "artifact-address", "",
		"Host and port under which Flux reaches them; the default is the service ocm-operator of the operator's namespace.")
}

// complete checks the bounds and fills in what follows from other flags.
func (o *Options) complete() error {
	if err := o.checkWorkers(); err != nil {
		return err
	}
	if o.MaxResourceSize < 1 || o.Registry.MaxBlobBytes < 1 || o.Registry.MaxStagedBytes < 1 {
		return errors.New("--max-resource-size, --registry-max-blob-size and --registry-max-staged-size must be at least 1 byte")
	}
	if err := errors.Join(o.Limits.check(), o.Transfers.check(), o.Registry.Room.check(), o.Archives.check(), o.Git.check(), o.Secrets.check()); err != nil {
		return err
	}
	if o.MinRetryDelay <= 0 || o.MaxRetryDelay < o.MinRetryDelay {
		return fmt.Errorf("--min-retry-delay is %s and --max-retry-delay %s: the first must be longer than zero and not longer than the second",
			o.MinRetryDelay, o.MaxRetryDelay)
	}
	if u, err := url.Parse(o.EventsAddr); err != nil || (o.EventsAddr != "" && u.Host == "") {
		return fmt.Errorf("--events-addr %q is no URL, want for example http://notification-controller.flux-system.svc.cluster.local./", o.EventsAddr)
	}
	if o.Registry.TokenAuth && o.Registry.TokenAudience == "" {
		return errors.New("--registry-token-audience must not be empty: a token without an audience of its own is good for the API server, too")
	}
	if o.SnapshotRecheck <= 0 || o.Registry.CollectInterval <= 0 {
		return errors.New("--snapshot-recheck-interval and --registry-collect-interval must be longer than zero")
	}
	if o.Registry.History < 0 || o.Registry.History > maxHistory {
		return fmt.Errorf("--snapshot-history is %d, want 0 to %d", o.Registry.History, maxHistory)
	}
	var err error
	if o.Registry.Address, err = o.reachable("registry", "listen", o.Registry.Listen, o.Registry.Address); err != nil {
		return err
	}
	if o.Registry.Advertise, err = o.advertised(); err != nil {
		return err
	}
	if o.Registry.ArtifactAddress, err = o.reachable("artifact", "addr", o.Registry.ArtifactListen, o.Registry.ArtifactAddress); err != nil {
		return err
	}
	if o.Leader.Enable && o.LeaseName == "" {
		return errors.New("--leader-election-id must not be empty: name the lease of this installation, as in ocm-operator-leader")
	}
	if err := o.checkWriter(); err != nil {
		return err
	}
	if err := o.External.complete(o.Registry.Artifacts); err != nil {
		return err
	}
	return o.Jitter.SetGlobalJitter(newRandom())
}

// checkWriter wants a Secret of its own for the credential.
func (o *Options) checkWriter() error {
	writer := o.Registry.WriterSecret
	if writer != "" && (writer == o.Registry.CertSecret || writer == o.Registry.KeySecret) {
		return fmt.Errorf("--registry-writer-secret %q holds something else of the registry: choose another name", writer)
	}
	return nil
}

// reachable returns host and port under which others reach what listens on an address. Flags are named by what listens.
func (o *Options) reachable(what, listens, listen, address string) (string, error) {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("--%s-%s %q is no address, want host:port or :port", what, listens, listen)
	}
	if address == "" {
		address = net.JoinHostPort(fmt.Sprintf("ocm-operator.%s.svc.cluster.local", o.Namespace), port)
	}
	_, port, err = net.SplitHostPort(address)
	if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 1 || n > 1<<16-1 {
		return "", fmt.Errorf("--%s-address %q needs host and port, as in %s.example.com:5000", what, address, what)
	}
	return address, nil
}

func envOr(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
