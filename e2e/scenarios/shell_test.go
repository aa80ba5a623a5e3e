package scenarios_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// shell is where the commands of a guide run that it has in blocks of the language "sh": in a copy of its folder, with
// the user's own addresses, and kubectl in the namespace of the test.
type shell struct {
	dir  string
	page string
	env  []string
	// without is a program that is not on this machine: commands that begin with it are left out, and the test does
	// what they would have done.
	without string
}

// openShell prepares the folder of a guide.
func openShell(t *testing.T, e *e2etest.Env, registry *ocmtest.Server, guide string) *shell {
	t.Helper()
	s := &shell{dir: t.TempDir(), page: file(t, guide+"/README.md")}
	mine := strings.NewReplacer(theirRepo, repository(registry), theirHome, "targetNamespace: "+e.Namespace, "namespace default", "namespace "+e.Namespace)
	s.page = mine.Replace(s.page)
	manifests, err := filepath.Glob(filepath.Join(guides, guide, "*.yaml"))
	if err != nil || len(manifests) == 0 {
		t.Fatalf("got %v, %v", manifests, err)
	}
	for _, name := range manifests {
		s.write(t, filepath.Base(name), []byte(mine.Replace(file(t, guide+"/"+filepath.Base(name)))))
	}
	config, err := clientcmd.LoadFromFile(e.Cluster.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.Contexts[config.CurrentContext].Namespace = e.Namespace
	kubeconfig := filepath.Join(s.dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HOME="+e.Cluster.Dir(),
		"PATH="+filepath.Dir(e.Cluster.State().Kubectl)+string(os.PathListSeparator)+os.Getenv("PATH"))
	return s
}

// run runs the block of the guide that has a text, and returns what it has printed.
func (s *shell) run(t *testing.T, having string) string {
	t.Helper()
	var found []string
	for _, block := range strings.Split(s.page, "```sh\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if strings.Contains(block, having) {
			found = append(found, block)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d blocks of the guide have %q, want 1", len(found), having)
	}
	out := s.do(t, found[0])
	if warning.MatchString(out) {
		t.Errorf("who follows the guide is warned:\n%s\n%s", found[0], out)
	}
	return out
}

// warning is what kubectl and the API server say about commands that are not right.
var warning = regexp.MustCompile(`(?m)^Warning: `)

// do runs commands.
func (s *shell) do(t *testing.T, commands string) string {
	t.Helper()
	var kept []string
	for line := range strings.Lines(commands) {
		if s.without == "" || !strings.HasPrefix(line, s.without+" ") {
			kept = append(kept, line)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", strings.Join(kept, ""))
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", commands, err, out)
	}
	return string(out)
}

func (s *shell) read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func (s *shell) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}
