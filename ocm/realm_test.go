package ocm_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestRefusedTokenServices has registries whose token service nobody should send a password to.
func TestRefusedTokenServices(t *testing.T) {
	t.Parallel()
	for realm, want := range map[string]string{
		"http://10.0.0.7/token":   `"10.0.0.7"`,
		"ftp://auth.example/":     `scheme "ftp"`,
		"http://127.0.0.2/token":  `"127.0.0.2"`,
		"http://169.254.1.1/auth": `"169.254.1.1"`,
	} {
		server := ocmtest.Start(t)
		server.Inject(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Www-Authenticate", fmt.Sprintf("Bearer realm=%q,service=\"test\"", realm))
			w.WriteHeader(http.StatusUnauthorized)
			return true
		})
		repo := open(t, server.URL, ocm.Options{Credentials: credentials.FromBasic(server.URL, "alice", "at-home")})
		_, list := repo.ListVersions(t.Context(), shop)
		_, get := repo.Get(t.Context(), shop, "1.0.0")
		for _, err := range []error{list, get} {
			if !errors.Is(err, ocm.ErrUnauthorized) || !strings.Contains(err.Error(), "token service") || !strings.Contains(err.Error(), want) ||
				strings.Contains(err.Error(), "password") {
				t.Errorf("%s: %v, want that the token service is refused, with %s", realm, err, want)
			}
		}
	}
}
