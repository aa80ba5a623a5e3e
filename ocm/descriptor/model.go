package descriptor

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Schema names the format a descriptor was read from.
type Schema string

// Schemas this package reads and writes.
const (
	SchemaV2       Schema = "v2"
	SchemaV3Alpha1 Schema = "ocm.software/v3alpha1"
)

// Relations of a resource to its component.
const (
	LocalRelation    = "local"
	ExternalRelation = "external"
)

// Descriptor is a component descriptor, independent of the schema it was read
// from.
type Descriptor struct {
	// Schema is the format the descriptor was read from, and is written in. It
	// matters to signatures only; an empty value means SchemaV2.
	Schema Schema
	// Component is the described component version.
	Component Component
	// Signatures are the signatures over the digest of the component version.
	Signatures []Signature
	// NestedDigests are digests of referenced versions. They are not signed.
	NestedDigests []NestedDigest
}

// Component describes one version of a component.
type Component struct {
	// Name is a DNS domain and at least one path segment, as in acme.org/shop.
	Name string
	// Version is a relaxed semantic version.
	Version string
	// CreationTime is kept as it was written, because signatures cover it.
	CreationTime string
	// Labels are the labels of the component version.
	Labels []Label
	// Provider is who made the component.
	Provider Provider
	// RepositoryContexts are the repositories the version has been in, as
	// written; the last one is the most recent.
	RepositoryContexts []json.RawMessage
	// Sources are the sources the resources were built from.
	Sources []Source
	// References are the component versions this one is composed of.
	References []Reference
	// Resources are the delivered artifacts.
	Resources []Resource
}

// Provider is who made a component.
type Provider struct {
	// Name is the name of the provider.
	Name string
	// Labels are the labels of the provider.
	Labels []Label
	// Object tells that the provider was written as an object even though it
	// may have no labels, so that it is written in the same way again. No
	// signature covers it.
	Object bool
}

// Element is what resources, sources and references have in common.
type Element struct {
	Name          string   `json:"name"`
	Version       string   `json:"version"`
	ExtraIdentity Identity `json:"extraIdentity,omitempty"`
	Labels        []Label  `json:"labels,omitempty"`
}

// Identity is a set of attributes that tells elements of one list apart.
type Identity map[string]string

// String returns the attributes sorted by key, as in arch=arm64,os=linux.
func (i Identity) String() string {
	parts := make([]string, 0, len(i))
	for _, k := range slices.Sorted(maps.Keys(i)) {
		parts = append(parts, k+"="+i[k])
	}
	return strings.Join(parts, ",")
}

// String returns name, version and extra identity for messages.
func (e *Element) String() string {
	s := e.Name + ":" + e.Version
	if len(e.ExtraIdentity) > 0 {
		s += "(" + e.ExtraIdentity.String() + ")"
	}
	return s
}

// Resource is a delivered artifact.
type Resource struct {
	Element

	Type             string            `json:"type"`
	Relation         string            `json:"relation,omitempty"`
	SourceReferences []SourceReference `json:"srcRefs,omitempty"`
	Access           Access            `json:"access"`
	Digest           *Digest           `json:"digest,omitempty"`
}

// Source is what resources were built from.
type Source struct {
	Element

	Type   string `json:"type"`
	Access Access `json:"access"`
}

// Reference names another component version this one contains.
type Reference struct {
	Element

	ComponentName string  `json:"componentName"`
	Digest        *Digest `json:"digest,omitempty"`
}

// SourceReference points from a resource to a source of the same component.
type SourceReference struct {
	IdentitySelector Identity `json:"identitySelector,omitempty"`
	Labels           []Label  `json:"labels,omitempty"`
}

// Label attaches any JSON value to a component or an element.
type Label struct {
	Name string `json:"name"`
	// Value is kept as the JSON text it was read from.
	Value   json.RawMessage `json:"value,omitempty"`
	Version string          `json:"version,omitempty"`
	Signing bool            `json:"signing,omitempty"`
	Merge   *MergeSpec      `json:"merge,omitempty"`
}

// MergeSpec tells how a label is merged when two copies of a version differ.
type MergeSpec struct {
	Algorithm string          `json:"algorithm,omitempty"`
	Config    json.RawMessage `json:"config,omitempty"`
}

// Signature is a named signature over the digest of a component version.
type Signature struct {
	Name      string         `json:"name"`
	Digest    Digest         `json:"digest"`
	Signature SignatureValue `json:"signature"`
	Timestamp *Timestamp     `json:"timestamp,omitempty"`
}

// SignatureValue is the signature proper.
type SignatureValue struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"value"`
	MediaType string `json:"mediaType"`
	Issuer    string `json:"issuer,omitempty"`
}

// Timestamp is a time stamp of a signature by a third party.
type Timestamp struct {
	Value string `json:"value,omitempty"`
	Time  string `json:"time,omitempty"`
}

// NestedDigest is the digest of a component version further down the tree.
type NestedDigest struct {
	Name            string           `json:"name"`
	Version         string           `json:"version"`
	Digest          *Digest          `json:"digest,omitempty"`
	ResourceDigests []ResourceDigest `json:"resourceDigests,omitempty"`
}

// ResourceDigest is the digest of one resource of a nested component version.
type ResourceDigest struct {
	Name          string   `json:"name"`
	Version       string   `json:"version"`
	ExtraIdentity Identity `json:"extraIdentity,omitempty"`
	Digest        Digest   `json:"digest"`
}

// Access tells where the content of an element is. Kinds this module does not
// know are kept as they are; they matter only to whoever reads the content.
type Access struct {
	// Type is the kind, with an optional version as in localBlob/v1.
	Type string
	// Raw is the complete access specification as JSON.
	Raw json.RawMessage
}

// NewAccess returns the access specification that encodes v, which must be a
// value whose JSON form is an object with a type.
func NewAccess(v any) (Access, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return Access{}, fmt.Errorf("encode access: %w", err)
	}
	var a Access
	if err := a.UnmarshalJSON(raw); err != nil {
		return Access{}, err
	}
	if a.Type == "" {
		return Access{}, errors.New("encode access: it has no type")
	}
	return a, nil
}

// Kind returns the type without its version.
func (a Access) Kind() string {
	kind, _, _ := strings.Cut(a.Type, "/")
	return kind
}

// Version returns the version of the type, v1 when none is written.
func (a Access) Version() string {
	if _, v, ok := strings.Cut(a.Type, "/"); ok && v != "" {
		return v
	}
	return "v1"
}

// Decode decodes the specification into v.
func (a Access) Decode(v any) error {
	if err := json.Unmarshal(a.Raw, v); err != nil {
		return fmt.Errorf("access of type %q: %w", a.Type, err)
	}
	return nil
}

// MarshalJSON writes the specification as it was read.
func (a Access) MarshalJSON() ([]byte, error) {
	if len(a.Raw) == 0 {
		return []byte("null"), nil
	}
	return a.Raw, nil
}

// UnmarshalJSON keeps the whole specification and reads its type.
func (a *Access) UnmarshalJSON(raw []byte) error {
	*a = Access{}
	if string(raw) == "null" {
		return nil
	}
	var t struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return fmt.Errorf("access: %w", err)
	}
	a.Type, a.Raw = t.Type, slices.Clone(raw)
	return nil
}
