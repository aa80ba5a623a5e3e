package fluxdeployer

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// wakeOnChanges puts every FluxDeployer into the queue when what Flux needs to pull has changed: that must not wait for
// their intervals.
func wakeOnChanges(reader client.Reader, changes <-chan struct{}) func(context.Context, workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	wake := wakeAll(reader)
	return func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-changes:
				}
				if err := wake(ctx, queue); err != nil && ctx.Err() == nil {
					ctrl.LoggerFrom(ctx).Error(err, "What Flux needs to pull has changed, and will not be brought up to date before the next interval")
				}
			}
		}()
		return nil
	}
}
