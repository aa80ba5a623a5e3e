package access

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]string{
		"localBlob": KindLocalBlob, "localBlob/v1": KindLocalBlob, "LocalBlob/v1": KindLocalBlob, "localOciBlob": KindLocalBlob,
		"ociArtifact": KindOCIArtifact, "ociArtefact/v1": KindOCIArtifact, "ociRegistry": KindOCIArtifact,
		"OCIImage/v1": KindOCIArtifact, "ociImage": KindOCIArtifact,
		"relativeOciReference": KindRelativeOCIReference, "ociBlob": KindOCIBlob, "OCIImageLayer/v1": KindOCIBlob,
		"": "", "none": "", "None/v1": "", "s3/v2": "", "localBlob/v2": "", "LOCALBLOB": "", "helm": KindHelm, "Helm/v1": KindHelm, "wget": KindWget, "Wget": KindWget, "gitHub": "", "npm": "", "maven": "",
	} {
		got, err := kindOf(descriptor.Access{Type: typ})
		if got != want || errors.Is(err, ErrUnsupported) != (want == "") {
			t.Errorf("kindOf(%q) = %q, %v, want %q", typ, got, err, want)
		}
	}
}

// TestAdvice is about the kinds that only fail when they are read.
func TestAdvice(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]string{
		"s3": "has no client", "S3/v2": "has no client", "npm": "has no client", "Maven/v1": "has no client",
		"gitHub": "bytes stay the same", "git/v1alpha1": "bytes stay the same",
		"ocm": "componentReferences", "localFilesystemBlob": "transport archive", "somethingElse": "by value", "localBlob/v2": "by value",
	} {
		_, err := kindOf(descriptor.Access{Type: typ})
		if unsupported := (*UnsupportedError)(nil); !errors.As(err, &unsupported) || !strings.Contains(unsupported.Advice, want) || !strings.Contains(unsupported.What, typ) {
			t.Errorf("kindOf(%q) = %v, want advice with %q", typ, err, want)
		}
	}
}

func TestFormOf(t *testing.T) {
	t.Parallel()
	for mediaType, want := range map[string]form{
		"":                 plainForm,
		"text/plain":       plainForm,
		"application/json": plainForm,
		"application/vnd.cncf.helm.chart.content.v1.tar+gzip":                plainForm,
		"application/vnd.oci.image.layer.v1.tar+gzip":                        plainForm,
		"application/vnd.oci.image.manifest.v1":                              plainForm,
		"application/vnd.oci.image.manifest.v1+json":                         nestedForm,
		"application/vnd.oci.image.index.v1+json":                            nestedForm,
		"application/vnd.docker.distribution.manifest.v2+json":               nestedForm,
		"application/vnd.docker.distribution.manifest.list.v2+json":          nestedForm,
		"application/vnd.oci.image.manifest.v1+tar":                          packedForm,
		"application/vnd.oci.image.manifest.v1+tar+gzip":                     packedForm,
		"application/vnd.oci.image.index.v1+tar+gzip":                        packedForm,
		"application/vnd.docker.distribution.manifest.v2+tar":                packedForm,
		"application/vnd.docker.distribution.manifest.list.v2+tar+gzip":      packedForm,
		"application/vnd.docker.distribution.manifest.list.v2+json+tar+gzip": packedForm,
		"application/vnd.ocm.software.oci.layout.v1+tar":                     packedForm,
		"application/vnd.ocm.software.oci.layout.v1+tar+gzip":                packedForm,
	} {
		if got := formOf(mediaType); got != want {
			t.Errorf("formOf(%q) = %v, want %v", mediaType, got, want)
		}
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	a, b := digest.FromString("a"), digest.FromString("b")
	for reference, want := range map[string][]digest.Digest{
		a.String():                             {a},
		a.String() + "," + b.String():          {a, b},
		" " + a.String() + " ,\t" + b.String(): {a, b},
		a.String() + "," + a.String():          {a, a},
		a.String() + ",":                       nil,
		"":                                     nil,
		"sha256:12":                            nil,
	} {
		got, err := (&LocalBlob{LocalReference: reference}).Chunks()
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("Chunks of %q = %v, %v, want %v", reference, got, err, want)
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
	legacy := descriptor.Access{Type: "localOciBlob", Raw: []byte(`{"type":"localOciBlob","digest":"` + d.String() + `"}`)}
	if spec, ok, err := DecodeLocal(legacy); err != nil || !ok || spec.LocalReference != d.String() || spec.MediaType != "" {
		t.Errorf("DecodeLocal of the legacy kind = %+v, %v, %v", spec, ok, err)
	}
	if _, ok, err := DecodeLocal(descriptor.Access{Type: "helm"}); ok || err != nil {
		t.Errorf("DecodeLocal of another kind = %v, %v", ok, err)
	}
	broken := descriptor.Access{Type: "localBlob", Raw: []byte(`{"type":"localBlob","localReference":1}`)}
	if _, _, err := DecodeLocal(broken); err == nil {
		t.Error("DecodeLocal accepts a number as reference")
	}
}
