package main

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/e2e/statefile"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

func TestManifestsAreStrictlyOurs(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(manifests, "manifests/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("got %v, %v", names, err)
	}
	for _, name := range names {
		raw, err := manifests.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(raw), "\n---\n") {
			var meta struct{ Kind string }
			if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			into := map[string]any{
				"ComponentVersion": &v1alpha1.ComponentVersion{}, "Resource": &v1alpha1.Resource{},
				"Localization": &v1alpha1.Localization{}, "Configuration": &v1alpha1.Configuration{},
				"FluxDeployer": &v1alpha1.FluxDeployer{}, "GitSync": &v1alpha1.GitSync{}, "ConfigMap": &corev1.ConfigMap{}, "Secret": &corev1.Secret{},
			}[meta.Kind]
			if into == nil {
				t.Errorf("%s: unexpected kind %q", name, meta.Kind)
				continue
			}
			if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(document, "${PUBLIC_KEY}", "Cg==")), into); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestManifestsSetTheMessageThatIsChecked(t *testing.T) {
	t.Parallel()
	raw, err := manifests.ReadFile("manifests/4-configuration.yaml")
	if err != nil || !bytes.Contains(raw, []byte("message: "+message)) {
		t.Errorf("the message %q is not in the manifests (%v)", message, err)
	}
}

// TestTheVersionThatIsRefused shows that it is refused for its content alone.
func TestTheVersionThatIsRefused(t *testing.T) {
	t.Parallel()
	registry := ocmtest.Start(t)
	s := &state{Registry: registry.URL, SigningKey: filepath.Join(t.TempDir(), "key")}
	if err := makeKey(s.SigningKey); err != nil {
		t.Fatal(err)
	}
	if err := publish(t.Context(), s, forgedVersion, redirect); err != nil {
		t.Fatal(err)
	}
	repository, err := ocm.Open(s.repository(), ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	version, err := repository.Get(t.Context(), podinfo.Name, forgedVersion)
	if err != nil {
		t.Fatal(err)
	}
	_, public, err := readKey(s.SigningKey)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := signing.ParsePublicKeys(public)
	if err != nil {
		t.Fatal(err)
	}
	d := version.Descriptor()
	if _, err := signing.Check(d, signing.Request{Name: signature, Keys: keys}, time.Now()); err != nil {
		t.Errorf("the signature: %v", err)
	}
	for i := range d.Component.Resources {
		resource := &d.Component.Resources[i]
		var mismatch *ocm.DigestMismatchError
		if err := version.Check(t.Context(), resource); errors.As(err, &mismatch) != (resource.Name == "manifests") {
			t.Errorf("resource %s: %v", resource.Name, err)
		}
	}
}

func TestDigestsAreShortened(t *testing.T) {
	t.Parallel()
	digest := "sha256:0123456789ab" + strings.Repeat("c", 52)
	if got, want := shortened("is "+digest+", not "+digest), "is sha256:0123456789ab…, not sha256:0123456789ab…"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWrapped(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	text := strings.TrimSpace(strings.Repeat("word ", 50))
	(&screen{out: &b}).wrapped(text)
	for line := range strings.Lines(b.String()) {
		if len(line) > 110 {
			t.Errorf("a line has %d characters", len(line))
		}
	}
	if got := strings.Join(strings.Fields(b.String()), " "); got != text {
		t.Errorf("got %q, want %q", got, text)
	}
}

func TestSettled(t *testing.T) {
	t.Parallel()
	version := []string{"status", "reconciledVersion"}
	for name, tc := range map[string]struct {
		reason string
		row    row
		want   bool
	}{
		"ready":       {reason: "this version has arrived", row: row{ready: "True", version: "2", versionPath: version}, want: true},
		"old version": {reason: "the version before is still ready", row: row{ready: "True", version: "1", versionPath: version}},
		"not ready":   {reason: "a version that is not ready has not arrived", row: row{ready: "False", version: "2", versionPath: version}},
		"no version":  {reason: "kinds of Flux show none", row: row{ready: "True"}, want: true},
	} {
		if got := tc.row.settled("2"); got != tc.want {
			t.Errorf("%s: got %t, want %t: %s", name, got, tc.want, tc.reason)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	rows := []row{{kind: "Resource", name: "a", ready: "True"}, {kind: "Resource", name: "b", ready: "-"}}
	var log, terminal bytes.Buffer
	appended, redrawn := &screen{out: &log}, &screen{out: &terminal, terminal: true}
	for _, changed := range [][]int{nil, {1}} {
		appended.table(rows, changed, time.Now())
		redrawn.table(rows, changed, time.Now())
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || strings.Contains(got, "\x1b") {
		t.Errorf("no terminal: got %q, want one line for the row that changed, without escapes", got)
	}
	if got := terminal.String(); strings.Count(got, "\x1b[3A") != 1 || strings.Count(got, "KIND") != 2 {
		t.Errorf("terminal: got %q, want the table twice, the second in place of the first", got)
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	place := folder(t.TempDir())
	if _, err := place.read(); !errors.Is(err, errNotRunning) {
		t.Errorf("before: got %v, want errNotRunning", err)
	}
	want := state{Registry: "http://127.0.0.1:5001", OperatorLog: "log", Fleet: "fleet.git"}
	if err := statefile.Write(place.state(), &want); err != nil {
		t.Fatal(err)
	}
	if got, err := place.read(); err != nil || *got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if got := want.fleetURL(); got != "http://127.0.0.1:5001/git/fleet.git" {
		t.Errorf("git repository: got %s", got)
	}
	if got := want.repository(); got != "http://127.0.0.1:5001/phoban01" {
		t.Errorf("repository: got %s", got)
	}
}

func TestUnknownCommand(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), []string{"sideways"}); err == nil || !strings.Contains(err.Error(), "usage:") {
		t.Errorf("got %v, want the usage", err)
	}
}

// TestFleet pushes to the git repository with git itself, with the password and without.
func TestFleet(t *testing.T) {
	t.Parallel()
	place := folder(t.TempDir())
	handler, err := serveFleet(t.Context(), place.fleet())
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(fleetPrefix, handler)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s := &state{Registry: server.URL, Fleet: filepath.Join(place.fleet(), fleetName)}
	address, err := url.Parse(s.fleetURL())
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	run := func(args ...string) error {
		_, err := git(t.Context(), append([]string{"-C", work, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		return err
	}
	if err := errors.Join(run("init", "--quiet"), run("commit", "--quiet", "--allow-empty", "--message=first")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		user *url.Userinfo
		want bool
	}{{url.UserPassword(fleetUser, "wrong"), false}, {url.UserPassword(fleetUser, fleetPassword), true}} {
		address.User = tc.user
		if err := run("push", "--quiet", address.String(), "HEAD:refs/heads/main"); (err == nil) != tc.want {
			t.Errorf("push as %s: got %v, want success: %t", tc.user, err, tc.want)
		}
	}
	if log, err := git(t.Context(), "-C", s.Fleet, "log", "--format=%s", "main"); err != nil || log != "first" {
		t.Errorf("got %q, %v; want what was pushed", log, err)
	}
}
