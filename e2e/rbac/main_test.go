package rbac_test

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

// build builds the operator, once for a test.
func build(t *testing.T) string {
	t.Helper()
	path, err := operator.Built(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}
