package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Set is the list of plugins with the state of their gates. Its zero value isn't usable; see [NewSet].
type Set struct {
	plugins []Plugin
	enabled map[string]bool
}

// NewSet returns the set with every gate in its default state.
func NewSet(plugins ...Plugin) (*Set, error) {
	s := &Set{plugins: plugins, enabled: map[string]bool{}}
	for _, p := range plugins {
		switch _, known := s.enabled[p.Name]; {
		case p.Name == "" || p.Setup == nil:
			return nil, fmt.Errorf("plugin %q is incomplete: Name and Setup are required", p.Name)
		case p.Stage != Alpha && p.Stage != Beta && p.Stage != Stable:
			return nil, fmt.Errorf("plugin %s has the unknown stage %q", p.Name, p.Stage)
		case known:
			return nil, fmt.Errorf("plugin %s is listed twice", p.Name)
		}
		s.enabled[p.Name] = p.enabledByDefault()
	}
	for _, p := range plugins {
		for _, required := range p.Requires {
			if _, known := s.enabled[required]; !known {
				return nil, fmt.Errorf("plugin %s requires %s, which is not in the set", p.Name, required)
			}
		}
	}
	return s, nil
}

// With returns the set of other plugins with the gates of this one: those of the same features, made with what they need
// to run.
func (s *Set) With(plugins ...Plugin) (*Set, error) {
	out, err := NewSet(plugins...)
	if err != nil {
		return nil, err
	}
	for _, name := range out.Names() {
		out.enabled[name] = s.enabled[name]
	}
	return out, nil
}

// ParseGates reads "GitSync=false,Resource=true" into gates, checking the names against those known.
func ParseGates(text string, known []string) (map[string]bool, error) {
	gates := map[string]bool{}
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		name, value, ok := strings.Cut(item, "=")
		if !ok {
			return nil, fmt.Errorf("feature %q needs a value, as in %s=false", item, item)
		}
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown feature %q, known are %s", name, strings.Join(known, ", "))
		}
		on, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("feature %s is %q, want true or false", name, value)
		}
		gates[name] = on
	}
	return gates, nil
}

// Switch sets gates by name, as in the flag --features, and checks that what is on has all that it requires.
func (s *Set) Switch(text string) error {
	gates, err := ParseGates(text, s.Names())
	if err != nil {
		return err
	}
	maps.Copy(s.enabled, gates)
	for _, p := range s.Enabled() {
		for _, required := range p.Requires {
			if !s.enabled[required] {
				return fmt.Errorf("feature %s requires %s: switch on %s or switch off %s", p.Name, required, required, p.Name)
			}
		}
	}
	return nil
}

// Names returns the names of all gates in the order of the list.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.plugins))
	for _, p := range s.plugins {
		names = append(names, p.Name)
	}
	return names
}

// Enabled returns the plugins that are on, in the order of the list.
func (s *Set) Enabled() []Plugin {
	return slices.DeleteFunc(slices.Clone(s.plugins), func(p Plugin) bool { return !s.enabled[p.Name] })
}

// State returns the gates as in the flag --features, for the log.
func (s *Set) State() string {
	var gates []string
	for _, name := range s.Names() {
		gates = append(gates, fmt.Sprintf("%s=%t", name, s.enabled[name]))
	}
	return strings.Join(gates, ",")
}

// Describe returns a line for every gate, for --help.
func (s *Set) Describe() string {
	var b strings.Builder
	for _, p := range s.plugins {
		fmt.Fprintf(&b, "\n  %s=%t (%s since %s)", p.Name, s.enabled[p.Name], p.Stage, p.Since)
		if len(p.Requires) > 0 {
			fmt.Fprintf(&b, ", requires %s", strings.Join(p.Requires, ", "))
		}
		if len(p.Needs) > 0 {
			fmt.Fprintf(&b, ", works with %s", kinds(p.Needs))
		}
	}
	return b.String()
}

func kinds(all []schema.GroupVersionKind) string {
	var names []string
	for _, gvk := range all {
		names = append(names, gvk.Kind)
	}
	return strings.Join(names, ", ")
}

// AddScheme adds the types of the enabled plugins.
func (s *Set) AddScheme(scheme *runtime.Scheme) error {
	var errs []error
	for _, p := range s.Enabled() {
		if p.AddScheme != nil {
			errs = append(errs, p.AddScheme(scheme))
		}
	}
	return errors.Join(errs...)
}

// Setup adds the enabled plugins to the manager, in the order of the list.
func (s *Set) Setup(ctx context.Context, mgr ctrl.Manager) error {
	for _, p := range s.Enabled() {
		if err := p.Setup(ctx, mgr); err != nil {
			return fmt.Errorf("set up feature %s: %w", p.Name, err)
		}
	}
	return nil
}

// Collector returns the metric ocm_feature_enabled, with 1 for every gate that is on and 0 for every other.
func (s *Set) Collector() prometheus.Collector {
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ocm_feature_enabled",
		Help: "Whether a feature of the operator is on (1) or off (0).",
	}, []string{"name", "stage"})
	for _, p := range s.plugins {
		value := 0.0
		if s.enabled[p.Name] {
			value = 1
		}
		gauge.WithLabelValues(p.Name, string(p.Stage)).Set(value)
	}
	return gauge
}
