package manager

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

const (
	// uninstallCommand is the first argument of a process that ends what waits for an operator which is gone.
	uninstallCommand = "release-snapshots"
	uninstallTimeout = 90 * time.Second
	// uninstallPage is how many Snapshots are read at once.
	uninstallPage = 500
	// uninstallPoll is the time between two looks at an operator that is being deleted.
	uninstallPoll = time.Second
)

// errInstalled is why Snapshots are not let go of.
var errInstalled = errors.New("the operator is installed, and takes the finalizer from its Snapshots by itself when they are deleted: " +
	"uninstall it first; this is the end of an uninstallation, and manifests made by `helm template` must come without hooks (--no-hooks)")

// UninstallRequested tells from the arguments of the program, without its name, whether it is started to let go of Snapshots.
func UninstallRequested(args []string) bool { return len(args) > 0 && args[0] == uninstallCommand }

// Uninstall takes the finalizer from all Snapshots, after the operator was uninstalled that would do it when they are deleted:
// nobody could delete them any more, nor their namespaces. An operator that is installed again sets it again. Until then the content
// of those that are deleted stays in the registry.
func Uninstall(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet(uninstallCommand, flag.ContinueOnError)
	flags.SetOutput(out)
	namespace := flags.String("watch-namespace", "", "the only namespace to look in; empty for all")
	operator := flags.String("operator", "", "namespace and name of the Deployment or StatefulSet that ran the operator, as in ocm-system/ocm-operator")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	workload := client.ObjectKey{}
	workload.Namespace, workload.Name, _ = strings.Cut(*operator, "/")
	if workload.Namespace == "" || workload.Name == "" {
		return fmt.Errorf("--operator is %q, want the Deployment or StatefulSet that ran the operator, as in ocm-system/ocm-operator", *operator)
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), appsv1.AddToScheme(scheme)); err != nil {
		return err
	}
	kubernetes, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("prepare client: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, uninstallTimeout)
	defer cancel()
	if err := awaitGone(ctx, kubernetes, workload); err != nil {
		return err
	}
	released, err := releaseSnapshots(ctx, kubernetes, *namespace)
	_, _ = fmt.Fprintf(out, "took the finalizer from %d Snapshots\n", released)
	return err
}

// awaitGone returns when nothing starts the operator any more. It waits for what is being deleted, and for nothing else: hooks that
// somebody has applied as if they were manifests like others find the operator at work, whose Snapshots they must not touch. Its last
// pods may have a minute left. They can't set the finalizer again, because Helm has deleted their roles before it runs this hook, which
// the chart renders together with these roles only.
func awaitGone(ctx context.Context, c client.Client, key client.ObjectKey) error {
	var left string
	err := wait.PollUntilContextCancel(ctx, uninstallPoll, true, func(ctx context.Context) (bool, error) {
		for kind, workload := range map[string]client.Object{"Deployment": &appsv1.Deployment{}, "StatefulSet": &appsv1.StatefulSet{}} {
			err := c.Get(ctx, key, workload)
			if apierrors.IsNotFound(err) {
				continue
			}
			left = fmt.Sprintf("%s %s", kind, key)
			if err != nil {
				return false, fmt.Errorf("look for %s: %w", left, err)
			}
			if workload.GetDeletionTimestamp() == nil {
				return false, fmt.Errorf("%s is there: %w", left, errInstalled)
			}
			return false, nil
		}
		return true, nil
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("%s is still being deleted: look what keeps it, and try again: %w", left, err)
	}
	return err
}

// releaseSnapshots goes through all Snapshots, whatever becomes of single ones.
func releaseSnapshots(ctx context.Context, c client.Client, namespace string) (int, error) {
	released := 0
	var errs []error
	for next := ""; ; {
		list := &v1alpha1.SnapshotList{}
		err := c.List(ctx, list, client.InNamespace(namespace), client.Limit(uninstallPage), client.Continue(next))
		if apierrors.IsNotFound(err) {
			return released, nil // the definition is gone, and with it every Snapshot
		}
		if err != nil {
			return released, errors.Join(append(errs, fmt.Errorf("list Snapshots: %w", err))...)
		}
		for i := range list.Items {
			snapshot := &list.Items[i]
			before := snapshot.DeepCopy()
			if !controllerutil.RemoveFinalizer(snapshot, v1alpha1.SnapshotFinalizer) {
				continue
			}
			// The list of finalizers is written as a whole, so nobody else may have changed it meanwhile.
			err := c.Patch(ctx, snapshot, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
			if client.IgnoreNotFound(err) != nil {
				errs = append(errs, fmt.Errorf("take the finalizer from Snapshot %s: %w", client.ObjectKeyFromObject(snapshot), err))
				continue
			}
			released++
		}
		if next = list.Continue; next == "" {
			return released, errors.Join(errs...)
		}
	}
}
