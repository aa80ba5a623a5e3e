package source_test

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }
