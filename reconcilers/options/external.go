package options

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"oras.land/oras-go/v2/registry"
)

// externalScheme is what the address of an external registry begins with.
const externalScheme = "oci://"

// External configures the registry of others that snapshots are kept in, in place of the embedded one.
type External struct {
	// URL is its address as given, and empty when the embedded registry is used.
	URL string
	// Host is its host, with a port if there is one, and Path what comes before the name of each repository.
	Host, Path string
	// Secret is the Secret by which the operator writes, and PullSecret the one by which Flux reads.
	Secret, PullSecret string
	// Provider is the cloud by which both log in, where no Secret is given.
	Provider string
	// CertSecret is the Secret with the certificates that the registry is trusted by.
	CertSecret string
	// PlainHTTP switches TLS off.
	PlainHTTP bool
}

// Used tells whether snapshots are kept in an external registry.
func (e External) Used() bool { return e.URL != "" }

func (e *External) bind(f *pflag.FlagSet) {
	f.StringVar(&e.URL, "snapshot-registry", "",
		"Registry to keep snapshots in, in place of the embedded one, as in oci://registry.example.com/snapshots/cluster-a. No two clusters may share a path.")
	f.StringVar(&e.Secret, "snapshot-registry-secret", "",
		"Secret of the operator's namespace, of type kubernetes.io/dockerconfigjson, by which the operator writes to, reads and deletes from --snapshot-registry.")
	f.StringVar(&e.PullSecret, "snapshot-registry-pull-secret", "",
		"The same for Flux, which only has to read. It is copied into each namespace with a FluxDeployer: who may read Secrets there can pull all snapshots.")
	f.StringVar(&e.Provider, "snapshot-registry-provider", "generic",
		"Cloud by whose identities the operator and Flux log in at --snapshot-registry where they have no Secret: generic, which is none, aws, azure or gcp.")
	f.StringVar(&e.CertSecret, "snapshot-registry-cert-secret", "",
		"Secret of the operator's namespace whose ca.crt holds the certificates that --snapshot-registry is trusted by.")
	f.BoolVar(&e.PlainHTTP, "snapshot-registry-plain-http", false, "Reach --snapshot-registry without TLS.")
}

// onTheWay are the flags that bound what is being written, to whichever registry.
var onTheWay = []string{"registry-dir", "registry-max-blob-size", "registry-max-staged-size"}

// alone refuses what says how the embedded registry runs where there is none: it would be ignored.
func (e *External) alone(f *pflag.FlagSet) error {
	if !e.Used() {
		return nil
	}
	var idle []string
	f.Visit(func(flag *pflag.Flag) {
		embedded := strings.HasPrefix(flag.Name, "registry-") || strings.HasPrefix(flag.Name, "artifact-")
		if embedded && !slices.Contains(onTheWay, flag.Name) {
			idle = append(idle, "--"+flag.Name)
		}
	})
	if len(idle) == 0 {
		return nil
	}
	return fmt.Errorf("%s: for the embedded registry only, which --snapshot-registry is in place of: drop one or the other", strings.Join(idle, ", "))
}

// complete checks the flags, and takes the address apart.
func (e *External) complete(artifacts bool) error {
	if !e.Used() {
		if *e != (External{Provider: "generic"}) {
			return errors.New("--snapshot-registry is not set: the other flags that begin with it say how that registry is reached")
		}
		return nil
	}
	rest, ok := strings.CutPrefix(e.URL, externalScheme)
	if !ok {
		return fmt.Errorf("--snapshot-registry must begin with %s, as in oci://registry.example.com/snapshots/cluster-a", externalScheme)
	}
	if strings.Contains(rest, "@") {
		return errors.New("--snapshot-registry must not hold credentials or a digest: everybody can read it; use --snapshot-registry-secret")
	}
	e.Host, e.Path, _ = strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	ref := registry.Reference{Registry: e.Host, Repository: e.Path}
	if err := ref.ValidateRegistry(); err != nil || e.Host == "" {
		return fmt.Errorf("--snapshot-registry %q has no host that can be used, want for example oci://registry.example.com:5000/snapshots", e.URL)
	}
	if err := ref.ValidateRepository(); e.Path != "" && err != nil {
		return fmt.Errorf("--snapshot-registry %q has a path that no repository can have: use lower-case letters, digits and single separators", e.URL)
	}
	if len(e.Host)+len(e.Path) > maxExternal {
		return fmt.Errorf("--snapshot-registry %q is too long: host and path may have %d characters, as clients bound the whole name", e.URL, maxExternal)
	}
	switch {
	case !slices.Contains([]string{"generic", "aws", "azure", "gcp"}, e.Provider):
		return fmt.Errorf("--snapshot-registry-provider %q is not known: want generic, aws, azure or gcp", e.Provider)
	case artifacts:
		return errors.New("--external-artifacts needs the embedded registry, which serves them: drop it, or --snapshot-registry")
	case e.PlainHTTP && e.CertSecret != "":
		return errors.New("--snapshot-registry-cert-secret is of no use with --snapshot-registry-plain-http: drop one of them")
	case e.PlainHTTP && e.Provider != "generic":
		return fmt.Errorf("--snapshot-registry-plain-http would show the token of provider %s to everybody on the way: drop one of them", e.Provider)
	}
	return nil
}

// maxExternal bounds host and path; the rest of the 255 characters is for namespace and name.
const maxExternal = 64
