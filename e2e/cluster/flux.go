package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/pki"
)

// FluxNamespace is the namespace that Flux believes to run in.
const FluxNamespace = "flux-system"

// InstallFlux installs Flux's custom resource definitions and starts source-controller and kustomize-controller. It
// is for clusters that were started without Flux, and may be called once.
func (c *Cluster) InstallFlux(ctx context.Context) error {
	flux, err := c.binaries.Flux(ctx)
	if err != nil {
		return err
	}
	installer, err := newInstaller(c)
	if err != nil {
		return err
	}
	if err := installer.namespace(ctx, FluxNamespace); err != nil {
		return err
	}
	if err := installer.definitions(ctx, flux.CRDs); err != nil {
		return err
	}
	if err := c.startFlux(ctx, "source-controller", flux.SourceController, []string{"storage"}, func(ports map[string]int) []string {
		storage := hostPort(ports["storage"])
		return []string{
			"--storage-path=" + c.files.path("flux"), "--storage-addr=" + storage, "--storage-adv-addr=" + storage,
			"--requeue-dependency=1s",
		}
	}); err != nil {
		return err
	}
	return c.startFlux(ctx, "kustomize-controller", flux.KustomizeController, nil, func(map[string]int) []string {
		return append([]string{"--requeue-dependency=1s", "--http-retry=3"}, c.kustomizeArgs...)
	})
}

// startFlux starts one of Flux's controllers with the flags they share. It may do anything in the cluster, as Flux is
// usually installed.
func (c *Cluster) startFlux(ctx context.Context, name, path string, ports []string, args func(map[string]int) []string) error {
	kubeconfig, err := c.user(name, "system:serviceaccount:"+FluxNamespace+":"+name, "system:masters")
	if err != nil {
		return err
	}
	client, err := probe(nil, (*pki.Leaf)(nil)) // its health is served without TLS
	if err != nil {
		return err
	}
	_, err = c.startComponent(ctx, component{
		name: name, path: path, ports: append([]string{"metrics", "health"}, ports...),
		env: []string{"RUNTIME_NAMESPACE=" + FluxNamespace, "KUBECONFIG=" + kubeconfig},
		args: func(ports map[string]int) []string {
			return append([]string{
				"--metrics-addr=" + hostPort(ports["metrics"]), "--health-addr=" + hostPort(ports["health"]),
				"--watch-all-namespaces=true", "--log-encoding=console", "--kube-api-qps=300", "--kube-api-burst=600",
				"--min-retry-delay=250ms", "--max-retry-delay=5s", // tests watch it fail and recover
			}, args(ports)...)
		},
		ready: func(ctx context.Context, ports map[string]int) bool {
			return answers(ctx, client, address("http", ports["health"])+"/readyz")
		},
	})
	return err
}

// installer puts what Flux needs into the cluster.
type installer struct {
	cluster *Cluster
	client  client.Client
}

func newInstaller(c *Cluster) (*installer, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("prepare client: %w", err)
	}
	kubernetes, err := client.New(c.Config(), client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("prepare client: %w", err)
	}
	return &installer{cluster: c, client: kubernetes}, nil
}

func (i *installer) namespace(ctx context.Context, name string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := i.client.Create(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	return nil
}

// definitions creates or replaces custom resource definitions and waits until the API server serves them.
func (i *installer) definitions(ctx context.Context, files []string) error {
	names := make([]string, 0, len(files))
	for _, file := range files {
		name, err := i.definition(ctx, file)
		if err != nil {
			return fmt.Errorf("install custom resource definition of %s: %w", file, err)
		}
		names = append(names, name)
	}
	for _, name := range names {
		what := "custom resource definition " + name + " is served"
		if err := i.cluster.waitUntil(ctx, what, nil, func(ctx context.Context) bool { return i.established(ctx, name) }); err != nil {
			return err
		}
	}
	return nil
}

func (i *installer) definition(ctx context.Context, file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	wanted := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(content, wanted); err != nil {
		return "", err
	}
	err = i.client.Create(ctx, wanted)
	if !apierrors.IsAlreadyExists(err) {
		return wanted.Name, err
	}
	// A cluster that is started again may have the definitions of an older Flux.
	found := &apiextensionsv1.CustomResourceDefinition{}
	if err := i.client.Get(ctx, client.ObjectKeyFromObject(wanted), found); err != nil {
		return "", err
	}
	found.Spec = wanted.Spec
	return wanted.Name, i.client.Update(ctx, found)
}

func (i *installer) established(ctx context.Context, name string) bool {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := i.client.Get(ctx, client.ObjectKey{Name: name}, crd); err != nil {
		return false
	}
	for _, condition := range crd.Status.Conditions {
		if condition.Type == apiextensionsv1.Established {
			return condition.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}
