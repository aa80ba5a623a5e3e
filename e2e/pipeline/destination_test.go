package pipeline_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/e2e/server"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestDestination delivers what was transferred to a registry that wants a log-in: contents are read from there and the image is named
// there, while the registry that the component was found in is gone.
func TestDestination(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	const version = "6.3.6"
	registry := ocmtest.Start(t)
	signer, public := ocmtest.SignerOf(t, "release")
	o := podinfo.Options{
		Version: version, ImageRegistry: registry.URL + "/images", Signatures: []ocmtest.Signature{{Name: "release", Signer: signer}},
	}
	if err := podinfo.Publish(t.Context(), repository(registry), o, ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	image, err := o.PinnedImage()
	if err != nil {
		t.Fatal(err)
	}
	mirror, err := server.StartRegistry(t.Context(), server.Registry{Kind: server.Distribution, Dir: t.TempDir(), User: "writer", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mirror.Stop() })
	url := "http://" + mirror.Address() + "/mirror"
	e.Apply(mirrorWriter)
	destination := "url: " + repository(registry) + "\n  destination:\n    url: " + url + "\n    secretRef: {name: mirror-writer}\n" +
		"  verify:\n  - name: release\n    publicKey:\n      value: " + base64.StdEncoding.EncodeToString(public) + "\n"
	e.Apply(strings.Replace(componentVersion, "url: ${REPOSITORY}\n", destination, 1))
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready,
		e2etest.Field(url, "status", "replicatedRepositoryURL"), e2etest.Field(repository(registry), "status", "sourceRepositoryURL"))
	registry.Inject(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "gone", http.StatusBadGateway)
		return true
	})
	e.Apply(resource+localization+configuration+fluxDeployer, "${VALUES}", "values: {message: hello}")
	arrives(e, strings.Replace(image, registry.Host, mirror.Address()+"/mirror", 1), "hello")
}

const mirrorWriter = `
apiVersion: v1
kind: Secret
metadata:
  name: mirror-writer
stringData:
  username: writer
  password: secret
---
`
