package binaries

import (
	"context"
	"path/filepath"
)

// The tools for the chart are no part of a cluster; they are pinned beside the other tools of the repository.
var (
	helmUnittest = module{
		name: "helm-unittest", folder: filepath.Join("..", "..", "hack", "charttools"),
		pkg: "github.com/helm-unittest/helm-unittest/cmd/helm-unittest", binary: "helm-unittest",
	}
	kubeconform = module{
		name: "kubeconform", folder: filepath.Join("..", "..", "hack", "charttools"),
		pkg: "github.com/yannh/kubeconform/cmd/kubeconform", binary: "kubeconform",
	}
)

// ChartTools holds the paths of the programs that look at charts, beside helm.
type ChartTools struct {
	// Unittest runs the tests that lie in a chart, with the Helm before the one of Cache.Helm.
	Unittest string
	// Kubeconform compares manifests with schemas.
	Kubeconform string
}

// ChartTools builds the tools for charts if they are missing.
func (c *Cache) ChartTools(ctx context.Context) (*ChartTools, error) {
	unittest, err := c.program(ctx, helmUnittest)
	if err != nil {
		return nil, err
	}
	conform, err := c.program(ctx, kubeconform)
	if err != nil {
		return nil, err
	}
	return &ChartTools{Unittest: unittest, Kubeconform: conform}, nil
}
