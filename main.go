// Command ocm-operator delivers software described with the Open Component Model to Kubernetes, through Flux.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/fluxcd/pkg/runtime/logger"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/componentversion"
	"github.com/ocm-operator/ocm-operator/reconcilers/configuration"
	"github.com/ocm-operator/ocm-operator/reconcilers/fluxdeployer"
	"github.com/ocm-operator/ocm-operator/reconcilers/localization"
	"github.com/ocm-operator/ocm-operator/reconcilers/manager"
	"github.com/ocm-operator/ocm-operator/reconcilers/mutation"
	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/registryserver"
	"github.com/ocm-operator/ocm-operator/reconcilers/resource"
	snapshotkind "github.com/ocm-operator/ocm-operator/reconcilers/snapshot"
	"github.com/ocm-operator/ocm-operator/reconcilers/snapshotregistry"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/transform"
	"github.com/ocm-operator/ocm-operator/transform/cuemap"
)

// version, commit and date are stamped by the build.
var (
	version = "v0.0.0-dev"
	commit  = "unknown"
	date    = "unknown"
)

func main() {
	if cuemap.Requested(os.Args[1:]) {
		evaluate()
		return
	}
	err := run(ctrl.SetupSignalHandler(), os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, options.ErrHelp) {
		fmt.Fprintln(os.Stderr, "ocm-operator:", err)
		os.Exit(1)
	}
}

// evaluate is what this program does when it is started to evaluate the program of a mapping, which no process should do
// that has anything else to do.
func evaluate() {
	if err := cuemap.Serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is the operator: flags, clients, plugins, manager.
func run(ctx context.Context, args []string, out io.Writer) error {
	known, err := plugin.NewSet(features(&shared{options: &options.Options{}, services: &manager.Services{}, registry: &registryserver.Registry{}})...)
	if err != nil {
		return err
	}
	o, err := options.Parse(args, known.Describe(), fmt.Sprintf("%s (commit %s, built %s)", version, commit, date), out)
	if err != nil {
		return err
	}
	if err := known.Switch(o.Features); err != nil {
		return fmt.Errorf("--features: %w", err)
	}
	if err := o.CheckKinds(known.Names()); err != nil {
		return err
	}
	logger.SetLogger(logger.NewLogger(o.Log))
	manager.LimitMemory()
	s, err := connect(ctx, o, known)
	if err != nil {
		return err
	}
	set, err := known.With(features(s)...)
	if err != nil {
		return err
	}
	mgr, err := manager.New(s.scheme, o)
	if err != nil {
		return err
	}
	if err := manager.Assemble(ctx, mgr, set, s.snapshots(), metrics.Registry); err != nil {
		return err
	}
	ctrl.Log.WithName("setup").Info("Starting ocm-operator", "version", version, "commit", commit, "features", set.State())
	return mgr.Start(ctx)
}

// shared is what several features are made with.
type shared struct {
	options      *options.Options
	scheme       *runtime.Scheme
	services     *manager.Services
	repositories *access.Provider
	// registry is the embedded registry, and external the one that is used in its place; the other is nil.
	registry *registryserver.Registry
	external *snapshotregistry.Registry
	store    snapshot.Store
	mappings *cuemap.Runner
}

// connect makes the clients: to the API server, to component repositories, and to the embedded registry.
func connect(ctx context.Context, o *options.Options, known *plugin.Set) (*shared, error) {
	s := &shared{options: o, scheme: runtime.NewScheme()}
	if err := errors.Join(clientgoscheme.AddToScheme(s.scheme), known.AddScheme(s.scheme)); err != nil {
		return nil, err
	}
	config, err := manager.Config(o)
	if err != nil {
		return nil, err
	}
	live, err := client.New(config, client.Options{Scheme: s.scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	if s.services, err = manager.NewServices(live, o, metrics.Registry); err != nil {
		return nil, err
	}
	if s.repositories, err = access.New(accessTo(live, o)); err != nil {
		return nil, err
	}
	if err := s.keepSnapshots(ctx, live); err != nil {
		return nil, err
	}
	if s.mappings, err = cuemap.NewRunner(o.Limits.Mappings); err != nil {
		return nil, err
	}
	return s, nil
}

// accessTo returns how component repositories are accessed.
func accessTo(live client.Client, o *options.Options) access.Options {
	to := access.Options{
		Live: live, UserAgent: "ocm-operator/" + version, AllowedHosts: o.AllowedHosts, AccessMethods: o.AccessMethods,
		NoOperatorIdentity: o.NoOperatorIdentity, Limits: o.Limits.Components(), Metrics: metrics.Registry,
	}
	if o.ObjectIdentity {
		to.Identities = live
	}
	return to
}

// answerAge is how old the answer to one object's question for versions may be to be another object's too. It spans the
// time in which objects that are due at the same moment get their turn.
const answerAge = 2 * time.Second

// features is the feature list of the operator.
func features(s *shared) []plugin.Plugin {
	o := s.options
	protection := source.Protection{Deny: o.DenyUnprotected}
	mutations := mutation.Options{
		Lifecycle: s.services.Lifecycle, Foreign: s.services.Foreign, Repositories: s.repositories, Store: s.store, Mappings: s.mappings,
		NoCrossNamespaceRefs: o.NoCrossNamespaceRefs, Protection: protection, MaxBytes: o.MaxResourceSize,
		Limits: mutation.Limits{Archives: o.Limits.Archives(), ConfigBytes: o.Limits.ConfigSize, ValuesBytes: o.Limits.ValuesSize},
		Turn:   transform.NewTurn(),
	}
	snapshots := snapshotkind.Options{
		Lifecycle: s.services.Lifecycle, Store: s.store, Metrics: metrics.Registry, Address: s.snapshots().URL(),
		Recheck: o.SnapshotRecheck, History: o.Registry.History, Forget: s.external != nil, Concurrent: o.Workers(v1alpha1.SnapshotKind),
	}
	resources := resource.Options{
		Lifecycle: s.services.Lifecycle, Repositories: s.repositories, Store: s.store,
		NoCrossNamespaceRefs: o.NoCrossNamespaceRefs, Protection: protection, MaxBytes: o.MaxResourceSize, Archives: o.Limits.Archives(),
		Concurrent: o.Workers(v1alpha1.ResourceKind),
	}
	if s.registry != nil {
		notices := s.registry.Notices()
		snapshots.Notices, resources.Notices, mutations.Notices = notices, notices, notices
	}
	localizations, configurations := mutations, mutations
	localizations.Concurrent, configurations.Concurrent = o.Workers(v1alpha1.LocalizationKind), o.Workers(v1alpha1.ConfigurationKind)
	return []plugin.Plugin{
		componentversion.Plugin(componentversion.Options{
			Lifecycle: s.services.Lifecycle, Repositories: s.repositories, Concurrent: o.Workers(v1alpha1.ComponentVersionKind), AnswerAge: answerAge,
		}),
		snapshotkind.Plugin(snapshots),
		resource.Plugin(resources),
		localization.Plugin(localizations),
		configuration.Plugin(configurations),
		fluxdeployer.Plugin(fluxdeployer.Options{
			Lifecycle: s.services.Lifecycle, Foreign: s.services.Foreign,
			Registry:             s.flux(),
			Store:                s.store,
			Artifacts:            artifacts(s),
			NoCrossNamespaceRefs: o.NoCrossNamespaceRefs, Concurrent: o.Workers(v1alpha1.FluxDeployerKind),
		}),
	}
}

// artifacts is how Flux reads snapshots where it does so without the registry.
func artifacts(s *shared) fluxdeployer.Artifacts {
	a := fluxdeployer.Artifacts{Namespace: cmp.Or(s.options.WatchNamespace, s.options.Namespace)}
	if s.options.Registry.Artifacts {
		a.Find = func(ctx context.Context, repository, manifest string) (fluxdeployer.Artifact, error) {
			found, err := s.registry.Artifact(ctx, repository, manifest)
			return fluxdeployer.Artifact(found), err
		}
	}
	return a
}
