package airgap_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/loopback"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/server"
	"github.com/ocm-operator/ocm-operator/e2e/shop"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

const (
	// archive is the name of the file that is carried.
	archive = "shop.tgz"
	// longest is how long a step may take that copies content.
	longest = 4 * time.Minute
)

// side is one side of the gap: a cluster with an operator, and the folder of its archives.
type side struct {
	*e2etest.Env

	archives string
}

// newSide starts a side. Its objects are in a namespace, which is that of the test when empty.
func newSide(t *testing.T, namespace string, o cluster.Options, args ...string) *side {
	t.Helper()
	archives := t.TempDir()
	s := &side{Env: e2etest.Own(t, o, append(args, "--archives-dir="+archives)...), archives: archives}
	if namespace != "" {
		s.Namespace = namespace
	}
	if err := os.Mkdir(filepath.Join(archives, s.Namespace), 0o700); err != nil {
		t.Fatal(err)
	}
	s.trust(t)
	return s
}

// trust gives the operator the public key, which comes on another way than the archive.
func (s *side) trust(t *testing.T) {
	t.Helper()
	_, public := ocmtest.SignerOf(t, "release")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "signing-keys"}, Data: map[string][]byte{shop.Signature: public}}
	if err := s.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}

// file is the path of an archive.
func (s *side) file(name string) string { return filepath.Join(s.archives, s.Namespace, name) }

// carry copies a file to the other side, as somebody with a stick does, and returns its size.
func carry(t *testing.T, from, to string) int64 {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to + ".new")
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(out, in)
	if err := errors.Join(err, out.Close(), os.Rename(to+".new", to)); err != nil {
		t.Fatal(err)
	}
	return n
}

// again asks an object to be reconciled now.
func (s *side) again(kind, name string) {
	s.Kubectl("annotate", "--overwrite", kind, name, "reconcile.fluxcd.io/requestedAt="+time.Now().Format(time.RFC3339Nano))
}

// source is the registry of the connected side.
type source struct {
	dir, address string
	process      *server.Process
}

// newSource returns it with an address that stays its own while it does not run.
func newSource(t *testing.T) *source {
	t.Helper()
	address, kept, err := loopback.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	return &source{dir: t.TempDir(), address: address}
}

// begin starts the registry, at the same address as before.
func (s *source) begin(t *testing.T) {
	t.Helper()
	var err error
	if s.process, err = server.StartRegistry(t.Context(), server.Registry{Kind: server.Distribution, Dir: s.dir, Listen: s.address}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.end(t) })
}

// end takes the registry away, as a network does that is gone: nobody is asked whether they are done.
func (s *source) end(t *testing.T) {
	t.Helper()
	if err := s.process.Kill(); err != nil {
		t.Error(err)
	}
}

func (s *source) url() string { return "http://" + s.address + "/acme" }

func (s *source) publish(t *testing.T, version string) *shop.Made {
	t.Helper()
	signer, _ := ocmtest.SignerOf(t, "release")
	made, err := shop.Publish(t.Context(), shop.Options{URL: s.url(), Version: version, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// login is the credential of the Secret that the operator keeps for whoever writes to its registry.
func (s *side) login(t *testing.T) (username, password string) {
	t.Helper()
	secret := &corev1.Secret{}
	s.Eventually("the credential of the registry", func() error {
		return s.Client.Get(s.Context(), client.ObjectKey{Namespace: operator.Namespace, Name: "ocm-registry-writer"}, secret)
	})
	var config struct {
		Auths map[string]struct {
			Username string `json:"username"`
			Password string `json:"password"`
		} `json:"auths"`
	}
	if err := json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		t.Fatal(err)
	}
	login, ok := config.Auths[s.Operator.RegistryAddress()]
	if !ok {
		t.Fatalf("there is no credential for %s", s.Operator.RegistryAddress())
	}
	return login.Username, login.Password
}
