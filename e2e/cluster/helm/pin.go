//go:build pin

package helm

// A program can't be imported, hence the build tag: nothing ever compiles this file, it only makes "go mod tidy" keep
// the requirement. See e2e/cluster for how the binary is built.
import _ "helm.sh/helm/v4/cmd/helm"
