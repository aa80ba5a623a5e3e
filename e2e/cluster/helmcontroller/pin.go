//go:build pin

package helmcontroller

// Nothing here is called, hence the build tag: nothing ever compiles this file, it only makes "go mod tidy" keep the
// requirements. See e2e/cluster for what is made of them.
import (
	_ "sigs.k8s.io/controller-tools/cmd/controller-gen"

	_ "github.com/fluxcd/helm-controller/api/v2"
)
