// Package plugin describes the features of the operator: each is a value with a name that is its feature gate, the stage
// that decides its default, what it requires, and how to set it up in a manager. It knows no feature; main lists them.
package plugin

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Stage is how mature a plugin is.
type Stage string

const (
	// Alpha plugins may change or go; they are off by default.
	Alpha Stage = "Alpha"
	// Beta plugins are complete and tested; they are on by default.
	Beta Stage = "Beta"
	// Stable plugins keep their API; they are on by default.
	Stable Stage = "Stable"
)

// Plugin is one feature of the operator.
type Plugin struct {
	// Name is the feature gate and the name of the controller.
	Name string
	// Stage decides whether the plugin is on by default.
	Stage Stage
	// Since is the operator's version that had the plugin first in this stage.
	Since string
	// Requires names the plugins that must be on as well.
	Requires []string
	// Needs are kinds of other projects that the plugin works with. The operator starts without them; the plugin reports
	// what is missing on its objects, and begins to use a kind as soon as the server has it.
	Needs []schema.GroupVersionKind
	// AddScheme adds the Go types that the plugin uses; may be nil.
	AddScheme func(*runtime.Scheme) error
	// Setup adds the plugin's controllers to the manager. The context ends with the process.
	Setup func(ctx context.Context, mgr ctrl.Manager) error
}

// enabledByDefault tells whether the plugin runs without being asked for.
func (p Plugin) enabledByDefault() bool { return p.Stage != Alpha }
