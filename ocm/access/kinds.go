package access

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Kinds of access this package reads.
const (
	KindLocalBlob            = "localBlob"
	KindOCIArtifact          = "ociArtifact"
	KindRelativeOCIReference = "relativeOciReference"
	KindOCIBlob              = "ociBlob"
	// KindHelm and KindWget are read from web servers, and only if allowed.
	KindHelm = "helm"
	KindWget = "wget"
)

// Guarded returns the kinds of access that are read from web servers, and only
// if Remote allows it.
func Guarded() []string { return []string{KindHelm, KindWget} }

// kindLocalOCIBlob is what KindLocalBlob was called before it had a media type.
const kindLocalOCIBlob = "localOciBlob"

// LocalBlob is content that is stored with the component version.
type LocalBlob struct {
	Type           string             `json:"type"`
	LocalReference string             `json:"localReference"`
	MediaType      string             `json:"mediaType"`
	ReferenceName  string             `json:"referenceName,omitempty"`
	GlobalAccess   *descriptor.Access `json:"globalAccess,omitempty"`
}

// OCIArtifact is an artifact in any registry.
type OCIArtifact struct {
	Type           string `json:"type"`
	ImageReference string `json:"imageReference"`
}

// RelativeOCIReference is an artifact in the registry of the component.
type RelativeOCIReference struct {
	Type      string `json:"type"`
	Reference string `json:"reference"`
}

// OCIBlob is one blob in any registry.
type OCIBlob struct {
	Type      string        `json:"type"`
	Reference string        `json:"ref"`
	MediaType string        `json:"mediaType,omitempty"`
	Digest    digest.Digest `json:"digest"`
	Size      int64         `json:"size"`
}

// ErrUnsupported says that content is of a kind that cannot be read.
var ErrUnsupported = errors.New("not supported")

// UnsupportedError says what about a resource is not supported.
type UnsupportedError struct {
	// What is the kind of access or content, in words.
	What string
	// Advice says what to do about it.
	Advice string
}

// Error says what to do.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s is not supported; %s", e.What, e.Advice)
}

// malformedError is about what the component version says, which stays as it is.
type malformedError struct{ error }

// Unwrap returns the cause.
func (e *malformedError) Unwrap() error { return e.error }

// Is makes the error match oci.ErrMalformed.
func (*malformedError) Is(target error) bool { return target == oci.ErrMalformed }

// malformed marks an error as one about what the component version says.
func malformed(err error) error {
	if err == nil {
		return nil
	}
	return &malformedError{err}
}

// decode reads an access specification.
func decode(a descriptor.Access, spec any) error { return malformed(a.Decode(spec)) }

// Is makes the error match ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == ErrUnsupported }

// kindOf maps the spellings in use to one.
func kindOf(a descriptor.Access) (string, error) {
	kind := ""
	switch a.Kind() {
	case "localBlob", "LocalBlob", kindLocalOCIBlob:
		kind = KindLocalBlob
	case "ociArtifact", "ociArtefact", "ociRegistry", "ociImage", "OCIImage":
		kind = KindOCIArtifact
	case "relativeOciReference":
		kind = KindRelativeOCIReference
	case "ociBlob", "OCIImageLayer":
		kind = KindOCIBlob
	case "helm", "Helm":
		kind = KindHelm
	case "wget", "Wget":
		kind = KindWget
	}
	switch {
	case a.Kind() == "none" || a.Kind() == "None":
		return "", &UnsupportedError{What: "reading a resource with access of kind none", Advice: "it has no content"}
	case a.Type == "":
		return "", &UnsupportedError{What: "a resource without access", Advice: "publish the component version again"}
	case kind == "" || a.Version() != "v1":
		return "", &UnsupportedError{What: fmt.Sprintf("access of kind %q", a.Type), Advice: adviceFor(a.Kind())}
	}
	return kind, nil
}

// adviceFor says what to do about a kind of access that is not read.
func adviceFor(kind string) string {
	byValue := fmt.Sprintf("transfer the component version with its resources by value to have them as %s or %s", KindLocalBlob, KindOCIArtifact)
	switch strings.ToLower(kind) {
	case "localfilesystemblob":
		return "it is for archives of one component version; transfer that into a registry or a transport archive, which makes it a " + KindLocalBlob
	case "ocm":
		return "refer to that component version with componentReferences, or " + byValue
	case "git", "github":
		return "there is no archive of a commit whose bytes stay the same; " + byValue
	case "s3", "npm", "maven":
		return "this operator has no client for it; " + byValue
	}
	return byValue
}

// IsLocal reports whether an access is one of kind localBlob.
func IsLocal(a descriptor.Access) bool {
	kind, err := kindOf(a)
	return err == nil && kind == KindLocalBlob
}

// DecodeLocal decodes an access of kind localBlob and reports whether it is one.
func DecodeLocal(a descriptor.Access) (*LocalBlob, bool, error) {
	if !IsLocal(a) {
		return nil, false, nil
	}
	spec, err := decodeLocal(a)
	if err != nil {
		return nil, false, err
	}
	return spec, true, nil
}

func decodeLocal(a descriptor.Access) (*LocalBlob, error) {
	var spec LocalBlob
	if a.Kind() != kindLocalOCIBlob {
		return &spec, decode(a, &spec)
	}
	var legacy struct {
		Digest string `json:"digest"`
	}
	err := decode(a, &legacy)
	return &LocalBlob{Type: a.Type, LocalReference: legacy.Digest}, err
}

// Chunks returns the digests of the blobs the content is made of, in their
// order. Large content may be split into several.
func (l *LocalBlob) Chunks() ([]digest.Digest, error) {
	var all []digest.Digest
	for part := range strings.SplitSeq(l.LocalReference, ",") {
		d, err := digest.Parse(strings.TrimSpace(part))
		if err != nil {
			return nil, malformed(fmt.Errorf("localReference %q is no digest: %w", strings.TrimSpace(part), err))
		}
		all = append(all, d)
	}
	return all, nil
}

// IsArtifact reports whether the blob is the manifest of an OCI artifact that is
// stored beside the manifest of the component version.
func (l *LocalBlob) IsArtifact() bool { return formOf(l.MediaType) == nestedForm }

// form tells what the bytes of a local blob are.
type form int

const (
	// plainForm is content as it is.
	plainForm form = iota
	// nestedForm is a manifest beside that of the component version.
	nestedForm
	// packedForm is an archive with an OCI artifact.
	packedForm
)

// layoutPrefix is that of the media types of packed OCI image layouts.
const layoutPrefix = "application/vnd.ocm.software.oci.layout.v1+tar"

func formOf(mediaType string) form {
	base, isTar := strings.CutSuffix(strings.TrimSuffix(mediaType, "+gzip"), "+tar")
	switch {
	case isArtifact(mediaType):
		return nestedForm
	case isTar && (isArtifact(base) || isArtifact(base+"+json")), strings.HasPrefix(mediaType, layoutPrefix):
		return packedForm
	}
	return plainForm
}

func isArtifact(mediaType string) bool {
	m := oci.Manifest{MediaType: mediaType}
	return m.IsImage() || m.IsIndex()
}

// NewLocalBlob returns the access of a plain local blob.
func NewLocalBlob(d digest.Digest, mediaType string) (descriptor.Access, error) {
	return descriptor.NewAccess(LocalBlob{Type: KindLocalBlob, LocalReference: d.String(), MediaType: mediaType})
}
