package roundtrip

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"time"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/retry"

	registryauth "github.com/ocm-operator/ocm-operator/registry/auth"
)

const (
	// maxFile bounds a key, a certificate or a docker config: what a Secret can hold.
	maxFile = 1 << 20
	// credentialTTL is how long a credential is good that is made for the test.
	credentialTTL = 10 * time.Minute
	// userAgent names the test in the log of the registry.
	userAgent = "ocm-operator-test-registry"
)

// connect returns the repository as who has the credential sees it, and a client for who has none.
func (o *options) connect() (*remote.Repository, *http.Client, error) {
	transport, err := o.transport()
	if err != nil {
		return nil, nil, err
	}
	credential, err := o.credential()
	if err != nil {
		return nil, nil, err
	}
	repository, err := remote.NewRepository(o.registry + "/" + o.repository)
	if err != nil {
		return nil, nil, fmt.Errorf("--registry %q and --repository %q: %w", o.registry, o.repository, err)
	}
	repository.PlainHTTP = o.plainHTTP
	client := &auth.Client{Client: &http.Client{Transport: retry.NewTransport(transport)}, Credential: credential}
	client.SetUserAgent(userAgent)
	repository.Client = client
	return repository, &http.Client{Transport: transport}, nil
}

func (o *options) url() string {
	if o.plainHTTP {
		return "http://" + o.registry
	}
	return "https://" + o.registry
}

// transport trusts the certificates of the file beside those of the system.
func (o *options) transport() (*http.Transport, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one unless somebody has replaced it
	if o.caFile == "" || o.plainHTTP {
		return transport, nil
	}
	pem, err := read(o.caFile)
	if errors.Is(err, fs.ErrNotExist) {
		return transport, nil
	}
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca-file %s holds no certificate in PEM: look at ca.crt of the Secret that it is from", o.caFile)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return transport, nil
}

// credential is one that may write to the repository and nowhere else, or what the docker config has.
func (o *options) credential() (auth.CredentialFunc, error) {
	switch {
	case o.keyFile != "":
		key, err := read(o.keyFile)
		if err != nil {
			return nil, fmt.Errorf("--key-file: %w", err)
		}
		issuer, err := registryauth.NewIssuer(key, nil)
		if err != nil {
			return nil, fmt.Errorf("--key-file %s: %w", o.keyFile, err)
		}
		made, err := issuer.Issue(registryauth.Scope{Prefix: o.repository + "/", Push: true}, credentialTTL)
		if err != nil {
			return nil, err
		}
		return auth.StaticCredential(o.registry, auth.Credential{Username: made.Username, Password: made.Password}), nil
	case o.dockerConfig != "":
		config, err := read(o.dockerConfig)
		if err != nil {
			return nil, fmt.Errorf("--docker-config: %w", err)
		}
		store, err := credentials.NewMemoryStoreFromDockerConfig(config)
		if err != nil {
			return nil, fmt.Errorf("--docker-config %s: %w", o.dockerConfig, err)
		}
		return credentials.Credential(store), nil
	default:
		return auth.StaticCredential(o.registry, auth.EmptyCredential), nil
	}
}

func read(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(content) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", name, maxFile)
	}
	return content, err
}
