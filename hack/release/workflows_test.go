package release

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// workflow is what is checked of one; actionlint checks the rest.
type workflow struct {
	Permissions *map[string]string `yaml:"permissions"`
	Defaults    struct {
		Run struct {
			Shell string `yaml:"shell"`
		} `yaml:"run"`
	} `yaml:"defaults"`
	Jobs map[string]struct {
		Timeout     int                `yaml:"timeout-minutes"`
		Permissions *map[string]string `yaml:"permissions"`
		Steps       []struct {
			Uses string         `yaml:"uses"`
			With map[string]any `yaml:"with"`
			Run  string         `yaml:"run"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	files, err := filepath.Glob("../../.github/workflows/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("workflows are %v, %v", files, err)
	}
	all := map[string]workflow{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var w workflow
		if err := yaml.Unmarshal(text, &w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = w
	}
	return all
}

func TestJobsHaveNoMoreRightsThanTheyNeed(t *testing.T) {
	t.Parallel()
	writers := map[string]bool{"release.yaml publish": true}
	for file, w := range workflows(t) {
		if w.Permissions == nil {
			t.Errorf("%s has no permissions, and so those of the repository's settings", file)
			continue
		}
		for name, job := range w.Jobs {
			rights := *w.Permissions
			if job.Permissions != nil {
				rights = *job.Permissions
			}
			for scope, right := range rights {
				if right != "read" && !writers[file+" "+name] {
					t.Errorf("%s: job %s may %s %s; only the job that publishes writes anything", file, name, right, scope)
				}
			}
			if job.Timeout == 0 {
				t.Errorf("%s: job %s has no timeout", file, name)
			}
			for _, step := range job.Steps {
				if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
					t.Errorf("%s: job %s leaves its credentials in the clone", file, name)
				}
				if strings.Contains(step.Run, "${{") {
					t.Errorf("%s: job %s has an expression in a script, which whoever sets its value could extend; give it by env", file, name)
				}
			}
		}
	}
}

// TestScriptsEndWhenAPartOfAPipeFails: without a name, the shell has no pipefail, and what fails before a pipe goes unnoticed.
func TestScriptsEndWhenAPartOfAPipeFails(t *testing.T) {
	t.Parallel()
	for file, w := range workflows(t) {
		if w.Defaults.Run.Shell != "bash" {
			t.Errorf("%s: the shell of scripts is %q, want bash", file, w.Defaults.Run.Shell)
		}
	}
}

// TestActionsArePinned: a tag can be moved to another commit by whoever owns the action.
func TestActionsArePinned(t *testing.T) {
	t.Parallel()
	uses := regexp.MustCompile(`(?m)^[\s-]*uses: (.*)$`)
	pinned := regexp.MustCompile(`^([\w./-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)$`)
	seen := map[string]string{}
	for file, w := range workflows(t) {
		text, err := os.ReadFile(filepath.Join("..", "..", ".github", "workflows", file))
		if err != nil {
			t.Fatal(err)
		}
		lines := uses.FindAllStringSubmatch(string(text), -1)
		steps := 0
		for _, job := range w.Jobs {
			for _, step := range job.Steps {
				if step.Uses != "" {
					steps++
				}
			}
		}
		if steps != len(lines) {
			t.Errorf("%s: %d steps use an action, but only %d lines were looked at", file, steps, len(lines))
		}
		for _, line := range lines {
			match := pinned.FindStringSubmatch(line[1])
			if match == nil {
				t.Errorf("%s: %s is not a commit with its release as a comment, such as @0123...cdef # v1.2.3", file, line[1])
				continue
			}
			action, version := match[1], match[2]
			if other := seen[action]; other != "" && other != version {
				t.Errorf("%s: %s is %s here and %s elsewhere", file, action, version, other)
			}
			seen[action] = version
		}
	}
}

// TestNodesAreRequired: without, the tests that install the chart would be skipped where nobody looks, and a commit could be released.
func TestNodesAreRequired(t *testing.T) {
	t.Parallel()
	for _, job := range workflows(t)["ci.yaml"].Jobs {
		for _, step := range job.Steps {
			if strings.Contains(step.Run, "sudo") && strings.Contains(step.Run, "REQUIRE_NODES=1 .ci/run\n") {
				return
			}
		}
	}
	t.Error("no step of ci.yaml runs .ci/run as root and with REQUIRE_NODES=1")
}

// TestLittleIsCompiledWhereSomethingCanBePublished: a module of it that turns bad could publish whatever it likes.
func TestLittleIsCompiledWhereSomethingCanBePublished(t *testing.T) {
	t.Parallel()
	programs := map[string]bool{}
	for _, step := range workflows(t)["release.yaml"].Jobs["publish"].Steps {
		for _, match := range regexp.MustCompile(`\bgo run (\S+)`).FindAllStringSubmatch(step.Run, -1) {
			programs[match[1]] = true
		}
	}
	if len(programs) == 0 {
		t.Fatal("the job that publishes runs no program of ours; this test looks at the wrong place")
	}
	known := []string{
		"github.com/ocm-operator/ocm-operator", "github.com/opencontainers/go-digest", "github.com/opencontainers/image-spec",
		"go.yaml.in/yaml/v2", "golang.org/x/sync", "oras.land/oras-go/v2", "sigs.k8s.io/yaml",
	}
	for program := range programs {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", program)
		list.Dir = "../.."
		out, err := list.Output()
		if err != nil {
			t.Fatalf("%s: %v", program, err)
		}
		for _, module := range slices.Compact(slices.Sorted(strings.FieldsSeq(string(out)))) {
			if !slices.Contains(known, module) {
				t.Errorf("%s is made of %s, too; what it is for may be done in the job that can publish nothing", program, module)
			}
		}
	}
}

// TestProgramsAreKeptByWhatTheyAreBuiltOf: a key that stays while programs become others is hit and never written again, so that every
// run builds them anew.
func TestProgramsAreKeptByWhatTheyAreBuiltOf(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../.github/workflows/ci.yaml")
	if err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(`key: programs-.*hashFiles\((.*)\)`).FindSubmatch(text)
	if key == nil {
		t.Fatal("ci.yaml keeps no programs by a hash of files")
	}
	var patterns []string
	for _, quoted := range regexp.MustCompile(`'([^']*)'`).FindAllSubmatch(key[1], -1) {
		patterns = append(patterns, string(quoted[1]))
	}
	list := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--", "hack/tools", "hack/charttools", "e2e")
	list.Dir = "../.."
	files, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]bool{"e2e/cluster/binaries": true} // how they are built
	for file := range strings.FieldsSeq(string(files)) {
		if path.Base(file) == "go.mod" && file != "e2e/forges/go.mod" { // nothing but tests
			modules[path.Dir(file)] = true
		}
	}
	for file := range strings.FieldsSeq(string(files)) {
		hashed := slices.ContainsFunc(patterns, func(pattern string) bool {
			matches, err := path.Match(pattern, file)
			return err == nil && matches
		})
		if modules[path.Dir(file)] && path.Ext(file) != ".md" && !hashed {
			t.Errorf("%s is not in the key of ci.yaml under which programs are kept", file)
		}
	}
}

// TestDependabotKnowsEveryModule: those that are left out are raised together with a release of Kubernetes, Flux or Gitea.
func TestDependabotKnowsEveryModule(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../.github/dependabot.yml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Updates []struct {
			Ecosystem   string   `yaml:"package-ecosystem"`
			Directories []string `yaml:"directories"`
		} `yaml:"updates"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, update := range config.Updates {
		if update.Ecosystem == "gomod" {
			got = append(got, update.Directories...)
		}
	}
	list := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--", "go.mod", "*/go.mod")
	list.Dir = "../.."
	files, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for file := range strings.FieldsSeq(string(files)) {
		folder := strings.TrimSuffix("/"+strings.TrimSuffix(file, "go.mod"), "/")
		if !strings.HasPrefix(folder, "/e2e/cluster/") && folder != "/e2e/gitea" {
			want = append(want, max(folder, "/"))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("Dependabot looks after %v, want %v", got, want)
	}
}
