package access

import (
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]string{
		"localBlob": KindLocalBlob, "localBlob/v1": KindLocalBlob, "LocalBlob/v1": KindLocalBlob,
		"ociArtifact": KindOCIArtifact, "ociArtefact/v1": KindOCIArtifact, "ociRegistry": KindOCIArtifact,
		"OCIImage/v1": KindOCIArtifact, "ociImage": KindOCIArtifact,
		"relativeOciReference": KindRelativeOCIReference, "ociBlob": KindOCIBlob, "OCIImageLayer/v1": KindOCIBlob,
		"": "", "none": "", "None/v1": "", "s3/v2": "", "localBlob/v2": "", "LOCALBLOB": "", "helm": "", "wget": "",
	} {
		got, err := kindOf(descriptor.Access{Type: typ})
		if got != want || errors.Is(err, ErrUnsupported) != (want == "") {
			t.Errorf("kindOf(%q) = %q, %v, want %q", typ, got, err, want)
		}
	}
}

func TestCheckPlain(t *testing.T) {
	t.Parallel()
	for mediaType, ok := range map[string]bool{
		"":                 true,
		"text/plain":       true,
		"application/json": true,
		"application/vnd.cncf.helm.chart.content.v1.tar+gzip":           true,
		"application/vnd.oci.image.layer.v1.tar+gzip":                   true,
		"application/vnd.oci.image.manifest.v1+json":                    false,
		"application/vnd.oci.image.manifest.v1+tar":                     false,
		"application/vnd.oci.image.manifest.v1+tar+gzip":                false,
		"application/vnd.oci.image.index.v1+tar+gzip":                   false,
		"application/vnd.docker.distribution.manifest.v2+json":          false,
		"application/vnd.docker.distribution.manifest.list.v2+tar+gzip": false,
		"application/vnd.ocm.software.oci.layout.v1+tar+gzip":           false,
	} {
		if err := checkPlain(&LocalBlob{MediaType: mediaType}); (err == nil) != ok {
			t.Errorf("checkPlain(%q) = %v", mediaType, err)
		}
	}
}

func TestDecodeLocal(t *testing.T) {
	t.Parallel()
	d := digest.FromString("x")
	a, err := NewLocalBlob(d, "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	spec, ok, err := DecodeLocal(a)
	if err != nil || !ok || spec.LocalReference != d.String() || spec.MediaType != "text/plain" {
		t.Errorf("DecodeLocal = %+v, %v, %v", spec, ok, err)
	}
	if _, ok, err := DecodeLocal(descriptor.Access{Type: "helm"}); ok || err != nil {
		t.Errorf("DecodeLocal of another kind = %v, %v", ok, err)
	}
	broken := descriptor.Access{Type: "localBlob", Raw: []byte(`{"type":"localBlob","localReference":1}`)}
	if _, _, err := DecodeLocal(broken); err == nil {
		t.Error("DecodeLocal accepts a number as reference")
	}
}
