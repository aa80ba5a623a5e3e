package binaries

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// helmController is not the controller, which can't be had as a Go module: its program is the generator that makes the
// custom resource definition of HelmReleases from the controller's API, which can.
var helmController = module{
	name: "helm-controller-api", folder: "helmcontroller", pkg: "sigs.k8s.io/controller-tools/cmd/controller-gen",
	binary: "controller-gen", types: "github.com/fluxcd/helm-controller/api/v2",
}

// keepCRDs keeps the definitions beside the program, so that a cluster can start where the go command is missing.
func (b *builder) keepCRDs(ctx context.Context, tracker *tracker, dir string) error {
	if b.module.crds == "" && b.module.types == "" {
		return nil
	}
	if err := os.Mkdir(filepath.Join(dir, crdFolder), 0o755); err != nil {
		return fmt.Errorf("create folder for custom resource definitions: %w", err)
	}
	if b.module.types != "" {
		return b.generateCRDs(ctx, tracker, dir)
	}
	return b.copyCRDs(ctx, tracker, dir)
}

// generateCRDs lets the program that was built write the definitions of the types.
func (b *builder) generateCRDs(ctx context.Context, tracker *tracker, dir string) error {
	_, err := b.command(ctx, tracker, filepath.Join(dir, b.module.binary),
		"crd", "paths="+b.module.types, "output:crd:artifacts:config="+filepath.Join(dir, crdFolder))
	if err != nil {
		return err
	}
	return wantCRDs(filepath.Join(dir, crdFolder), b.module.types)
}

// copyCRDs copies the definitions that a module has.
func (b *builder) copyCRDs(ctx context.Context, tracker *tracker, dir string) error {
	folder, err := b.goCommand(ctx, tracker, "list", "-m", "-f", "{{.Dir}}", b.module.crds)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(folder)), "config", "crd", "bases", "*.yaml"))
	if err != nil {
		return fmt.Errorf("list custom resource definitions: %w", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read custom resource definition: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, crdFolder, filepath.Base(file)), content, 0o644); err != nil {
			return fmt.Errorf("write custom resource definition: %w", err)
		}
	}
	return wantCRDs(filepath.Join(dir, crdFolder), b.module.crds)
}

// wantCRDs checks that there is a definition: a cluster without the kinds fails much later.
func wantCRDs(folder, origin string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return fmt.Errorf("list custom resource definitions: %w", err)
	}
	if len(files) == 0 {
		return fmt.Errorf("%s has no custom resource definitions", origin)
	}
	return nil
}
