// Package configure turns configuration rules into substitutions: it checks the values of the
// environment against the schema of the component, merges them over its defaults, and evaluates
// the rules with the result.
//
// Only the values of rules are expressions. Defaults and the values of the environment are data.
package configure

import (
	"context"
	"fmt"
	"maps"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
	"github.com/ocm-operator/ocm-operator/transform"
	"github.com/ocm-operator/ocm-operator/transform/expr"
	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

// limits bound the evaluation of all rules together.
var limits = expr.Limits{Steps: 1_000_000, Output: 64 << 20}

// Substitutions returns what the rules put where, in their order. Nil values mean that the environment
// has none: then the defaults are enough and the schema has nothing to check.
//
// Errors are *SchemaError and *ValuesError, that of the context, or name the rule, counted from 1,
// and wrap those of package expr. The result may share lists and maps with the arguments.
func Substitutions(ctx context.Context, c *configv1.Configuration, values map[string]any) ([]transform.Substitution, error) {
	if c == nil {
		return nil, nil
	}
	if values != nil && len(c.Schema) > 0 {
		if err := Validate(c.Schema, values); err != nil {
			return nil, err
		}
	}
	evaluator := expr.NewEvaluator(Merge(c.Defaults, values), limits)
	subs := make([]transform.Substitution, 0, len(c.Rules))
	for i, rule := range c.Rules {
		title := fmt.Sprintf("configuration rule %d", i+1)
		value, err := evaluator.Eval(ctx, rule.Value)
		if stopped := ctx.Err(); err != nil && stopped != nil {
			return nil, fmt.Errorf("%s: %w", title, stopped) // not the fault of the rule
		}
		if err != nil {
			return nil, &transform.RuleError{Rule: title, File: rule.File, Path: rule.Path, Err: err}
		}
		subs = append(subs, transform.Substitution{
			Rule: title, File: rule.File, Path: rule.Path, Value: value,
			Document: rule.Document, Selector: (*yamledit.Selector)(rule.Selector),
		})
	}
	return subs, nil
}

// Merge returns values merged over defaults: maps are merged key by key, everything else is
// replaced. The arguments are not changed; the result may share lists and maps with them.
func Merge(defaults, values map[string]any) map[string]any {
	out := make(map[string]any, len(defaults)+len(values))
	maps.Copy(out, defaults)
	for key, value := range values {
		below, isMap := out[key].(map[string]any)
		if above, ok := value.(map[string]any); ok && isMap {
			value = Merge(below, above)
		}
		out[key] = value
	}
	return out
}
