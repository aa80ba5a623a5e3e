//go:build pin

package sourcecontroller

// A program can't be imported, hence the build tag: nothing ever compiles this file, it only makes "go mod tidy" keep
// the requirement. See e2e/cluster for how the binary is built.
import _ "github.com/fluxcd/source-controller"
