package transform_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/ocm-operator/ocm-operator/hack/benchtest"
	"github.com/ocm-operator/ocm-operator/snapshot/archive/archivetest"
	"github.com/ocm-operator/ocm-operator/transform"
)

// BenchmarkApplyTree carries out rules on a tree of files: on a few of them, as most components have it, and on very many.
func BenchmarkApplyTree(b *testing.B) {
	plain := archivetest.Manifests(64 << 20)
	for _, rules := range []int{10, 1000} {
		b.Run(fmt.Sprintf("%d rules", rules), func(b *testing.B) {
			subs := make([]transform.Substitution, rules)
			for i := range subs {
				subs[i] = transform.Substitution{Rule: fmt.Sprintf("rule %d", i), File: fmt.Sprintf("apps/%d/configmap.yaml", i), Path: "data.key", Value: "new"}
			}
			benchtest.Run(b, plain, func() error {
				_, err := transform.Apply(b.Context(), io.Discard, bytes.NewReader(plain), subs, transform.Limits{})
				return err
			})
		})
	}
}
