package options_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

var update = flag.Bool("update", false, "write the golden files anew")

// parse reads a command line in a known environment. Parsing sets the jitter of the whole process, so that no test here is
// parallel.
func parse(t *testing.T, args ...string) (*options.Options, string, error) {
	t.Helper()
	t.Setenv("TMPDIR", "/tmp")
	t.Setenv("RUNTIME_NAMESPACE", "")
	t.Setenv("POD_IP", "")
	var out bytes.Buffer
	o, err := options.Parse(args, "\n  Example=true (Beta since v0.1.0)", "v1.2.3", &out)
	return o, out.String(), err
}

func TestDefaults(t *testing.T) {
	o, out, err := parse(t)
	if err != nil || out != "" {
		t.Fatalf("error %v, output %q", err, out)
	}
	want := options.Registry{
		TokenAuth: true, TokenAudience: "ocm-registry",
		Listen: ":5000", Address: "ocm-operator.ocm-system.svc.cluster.local:5000", Dir: "/tmp/ocm-registry",
		CertSecret: "ocm-registry-tls-certs", KeySecret: "ocm-registry-key", MaxBlobBytes: 16 << 30, MaxStagedBytes: 32 << 30, CollectInterval: 10 * time.Minute, History: 2,
		Room:           options.Room{HighWater: 85, LowWater: 75, Grace: time.Minute, ScrubInterval: 24 * time.Hour, ScrubRate: 16 << 20},
		ArtifactListen: ":9790", ArtifactAddress: "ocm-operator.ocm-system.svc.cluster.local:9790",
	}
	if diff := cmp.Diff(want, o.Registry); diff != "" {
		t.Errorf("registry (-want +got):\n%s", diff)
	}
	got := []any{o.Namespace, o.WatchNamespace, o.Concurrent, o.NoCrossNamespaceRefs, o.MinRetryDelay, o.MaxRetryDelay, o.MaxResourceSize, o.SnapshotRecheck, o.Features}
	if diff := cmp.Diff([]any{"ocm-system", "", 4, false, 750 * time.Millisecond, 15 * time.Minute, int64(8 << 30), 10 * time.Minute, ""}, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestAddressFollowsOtherFlags(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"namespace": {[]string{"--runtime-namespace=team"}, "ocm-operator.team.svc.cluster.local:5000"},
		"port":      {[]string{"--registry-listen=127.0.0.1:6000"}, "ocm-operator.ocm-system.svc.cluster.local:6000"},
		"given":     {[]string{"--registry-address=registry.example.com:443", "--registry-listen=:6000"}, "registry.example.com:443"},
		"IPv6":      {[]string{"--registry-address=[::1]:5000"}, "[::1]:5000"},
	} {
		t.Run(name, func(t *testing.T) {
			o, _, err := parse(t, tc.args...)
			if err != nil || o.Registry.Address != tc.want {
				t.Errorf("address is %v (%v), want %s", o, err, tc.want)
			}
		})
	}
}

func TestNamespaceOfTheEnvironment(t *testing.T) {
	t.Setenv("RUNTIME_NAMESPACE", "from-pod")
	for want, args := range map[string][]string{"from-pod": nil, "given": {"--runtime-namespace=given"}} {
		o, err := options.Parse(args, "", "", &bytes.Buffer{})
		if err != nil || o.Namespace != want {
			t.Errorf("namespace is %v (%v), want %s", o, err, want)
		}
	}
}

func TestBounds(t *testing.T) {
	for name, tc := range map[string]struct {
		arg  string
		says string
	}{
		"nobody works":       {"--concurrent=0", "--concurrent is 0"},
		"too many work":      {"--concurrent=1001", "--concurrent is 1001"},
		"no resource":        {"--max-resource-size=0", "--max-resource-size"},
		"no delay":           {"--min-retry-delay=0s", "--min-retry-delay"},
		"delays crossed":     {"--max-retry-delay=1ms", "--max-retry-delay"},
		"no audience":        {"--registry-token-audience=", "--registry-token-audience"},
		"writer is key":      {"--registry-writer-secret=ocm-registry-key", "choose another name"},
		"writer is cert":     {"--registry-writer-secret=ocm-registry-tls-certs", "choose another name"},
		"no recheck":         {"--snapshot-recheck-interval=0s", "--snapshot-recheck-interval"},
		"negative history":   {"--snapshot-history=-1", "--snapshot-history is -1"},
		"endless history":    {"--snapshot-history=65", "--snapshot-history is 65, want 0 to 64"},
		"no collection":      {"--registry-collect-interval=-1s", "--registry-collect-interval"},
		"address, no such":   {"--registry-address=registry.example.com:65536", "--registry-address"},
		"listen on nothing":  {"--registry-listen=5000", "--registry-listen"},
		"address, no port":   {"--registry-address=registry.example.com", "--registry-address"},
		"address, port name": {"--registry-address=registry.example.com:https", "--registry-address"},
		"address, port 0":    {"--registry-address=registry.example.com:0", "--registry-address"},
		"listen on any port": {"--registry-listen=:0", "--registry-address"},
		"artifacts, no port": {"--artifact-address=artifacts.example.com", "--artifact-address"},
		"artifacts nowhere":  {"--artifact-addr=9790", "--artifact-addr"},
		"no duration":        {"--min-retry-delay=5", "--min-retry-delay"},
		"unknown":            {"--concurent=3", "concurent"},
		"argument":           {"start", `"start"`},
		"jitter":             {"--interval-jitter-percentage=101", "jitter"},
	} {
		t.Run(name, func(t *testing.T) {
			o, _, err := parse(t, tc.arg)
			if err == nil || o != nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: options %v, error %v; want one that names %s", tc.arg, o, err, tc.says)
			}
		})
	}
	for _, arg := range []string{"--concurrent=1", "--concurrent=1000", "--max-resource-size=1", "--max-retry-delay=750ms"} {
		if _, _, err := parse(t, arg); err != nil {
			t.Errorf("%s: %v", arg, err)
		}
	}
}

func TestLeaseHasAName(t *testing.T) {
	o, _, err := parse(t, "--enable-leader-election", "--leader-election-id=blue")
	if err != nil || o.LeaseName != "blue" {
		t.Errorf("options %v, error %v", o, err)
	}
	if _, _, err := parse(t, "--enable-leader-election", "--leader-election-id="); err == nil || !strings.Contains(err.Error(), "--leader-election-id") {
		t.Errorf("an empty name: %v", err)
	}
}

func TestHelp(t *testing.T) {
	_, out, err := parse(t, "--help")
	if !errors.Is(err, options.ErrHelp) {
		t.Errorf("error is %v, want ErrHelp", err)
	}
	golden := filepath.Join("testdata", "help.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out); diff != "" {
		t.Errorf("help; go test -update writes it anew (-want +got):\n%s", diff)
	}
}

func TestVersion(t *testing.T) {
	_, out, err := parse(t, "--version")
	if !errors.Is(err, options.ErrHelp) || out != "v1.2.3\n" {
		t.Errorf("error %v, output %q", err, out)
	}
}

// TestAdvertised is how other replicas reach this one.
func TestAdvertised(t *testing.T) {
	const all = "registry.example.com:443"
	for name, tc := range map[string]struct {
		pod  string
		args []string
		want string
	}{
		"a pod":                  {"10.0.0.7", nil, "10.0.0.7:5000"},
		"a pod with IPv6":        {"fd00::7", []string{"--registry-listen=[::]:5001"}, "[fd00::7]:5001"},
		"outside of a cluster":   {"", []string{"--registry-listen=127.0.0.1:5001"}, "127.0.0.1:5001"},
		"a loopback of a pod":    {"10.0.0.7", []string{"--registry-listen=localhost:5001"}, "10.0.0.7:5001"},
		"one address of several": {"10.0.0.7", []string{"--registry-listen=192.0.2.1:5001"}, "192.0.2.1:5001"},
		"nothing tells":          {"", []string{"--registry-listen=0.0.0.0:5001"}, ""},
		"nothing tells of IPv6":  {"", []string{"--registry-listen=[::]:5001"}, ""},
		"a port that is not yet": {"10.0.0.7", []string{"--registry-listen=:0"}, ""},
		"the user says":          {"10.0.0.7", []string{"--registry-advertise-address=one.example.com:5001"}, "one.example.com:5001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("POD_IP", tc.pod)
			o, err := options.Parse(append([]string{"--registry-address=" + all}, tc.args...), "", "test", &bytes.Buffer{})
			if err != nil {
				t.Fatal(err)
			}
			if o.Registry.Advertise != tc.want {
				t.Errorf("it advertises %s, want %s", o.Registry.Advertise, tc.want)
			}
		})
	}
	if _, err := options.Parse([]string{"--registry-advertise-address=one"}, "", "test", &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "--registry-advertise-address") {
		t.Errorf("an address without a port: %v", err)
	}
}
