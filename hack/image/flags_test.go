package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAllBuildsUseOneScript: a flag that is repeated is a flag that differs one day.
func TestAllBuildsUseOneScript(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"Dockerfile", "Makefile", "hack/release.sh", ".github/workflows/release.yaml"} {
		text := string(read(t, filepath.Join("..", "..", file)))
		if strings.Contains(text, "go build") || strings.Contains(text, "$(GO) build") || strings.Contains(text, "main.version=") {
			t.Errorf("%s builds by itself; use hack/build.sh, so that every build has the same flags", file)
		}
	}
	for _, file := range []string{"Dockerfile", "Makefile", "hack/release.sh"} {
		if !strings.Contains(string(read(t, filepath.Join("..", "..", file))), "hack/build.sh") {
			t.Errorf("%s does not use hack/build.sh", file)
		}
	}
}

func TestDockerUsesTheReleaseOfGoThatIsPinned(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindSubmatch(read(t, "../../go.mod"))
	if pinned == nil {
		t.Fatal("go.mod has no toolchain line, so no release of Go is pinned")
	}
	docker := regexp.MustCompile(`golang:(\S+)`).FindSubmatch(read(t, "../../Dockerfile"))
	if len(docker) < 2 || !bytes.Equal(docker[1], pinned[1]) {
		t.Errorf("the Dockerfile uses golang:%s and go.mod %s; raise both together, or their images differ", docker, pinned[1])
	}
}

// TestDockerSeesAllSources compares what the operator is built of with what .dockerignore lets through.
func TestDockerSeesAllSources(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{with .Module}}{{if .Main}}{{$.ImportPath}}{{end}}{{end}}{{end}}", ".")
	list.Dir = filepath.Join("..", "..")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := strings.Fields(string(read(t, "../../.dockerignore")))
	for pkg := range strings.FieldsSeq(string(out)) {
		folder, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(pkg, "github.com/ocm-operator/ocm-operator"), "/"), "/")
		if folder != "" && !slices.Contains(allowed, "!/"+folder) {
			t.Errorf(".dockerignore hides %s, which the operator is built of: add !/%s", pkg, folder)
		}
	}
	for _, file := range []string{"hack/build.sh", "hack/image/roots"} {
		if _, err := os.Stat(filepath.Join("..", "..", file)); err != nil || !slices.Contains(allowed, "!/"+file) {
			t.Errorf(".dockerignore hides %s, which the Dockerfile runs (%v)", file, err)
		}
	}
}
