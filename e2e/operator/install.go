package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/crds"
)

// Namespace is the namespace that the operator keeps its own Secrets in.
const Namespace = "ocm-system"

// Install creates what the operator needs in a cluster before it starts: its kinds and its namespace. It returns when
// the API server serves the kinds, and may be called again.
func Install(ctx context.Context, config *rest.Config) error {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("prepare client: %w", err)
	}
	kubernetes, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("prepare client: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}
	if err := kubernetes.Create(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %s: %w", Namespace, err)
	}
	definitions, err := crds.All()
	if err != nil {
		return err
	}
	for _, definition := range definitions {
		if err := replace(ctx, kubernetes, definition); err != nil {
			return fmt.Errorf("install custom resource definition %s: %w", definition.Name, err)
		}
	}
	for _, definition := range definitions {
		if err := awaitServed(ctx, kubernetes, definition.Name); err != nil {
			return fmt.Errorf("wait until custom resource definition %s is served: %w", definition.Name, err)
		}
	}
	return nil
}

func replace(ctx context.Context, c client.Client, wanted *apiextensionsv1.CustomResourceDefinition) error {
	err := c.Create(ctx, wanted)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	found := &apiextensionsv1.CustomResourceDefinition{}
	if err := c.Get(ctx, client.ObjectKeyFromObject(wanted), found); err != nil {
		return err
	}
	found.Spec = wanted.Spec
	return c.Update(ctx, found)
}

func awaitServed(ctx context.Context, c client.Client, name string) error {
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		found := &apiextensionsv1.CustomResourceDefinition{}
		if err := c.Get(ctx, client.ObjectKey{Name: name}, found); err != nil {
			return false, err
		}
		for _, condition := range found.Status.Conditions {
			if condition.Type == apiextensionsv1.Established {
				return condition.Status == apiextensionsv1.ConditionTrue, nil
			}
		}
		return false, nil
	})
}
