package descriptor

import (
	"encoding/json"
	"fmt"
	"strings"
)

// wireV2 is schema v2 as it is stored.
type wireV2 struct {
	Meta struct {
		SchemaVersion string `json:"schemaVersion"`
	} `json:"meta"`
	Component     wireV2Component `json:"component"`
	Signatures    []Signature     `json:"signatures,omitempty"`
	NestedDigests []NestedDigest  `json:"nestedDigests,omitempty"`
}

// wireV2Component has four lists that are written even when they are empty.
type wireV2Component struct {
	Name               string            `json:"name"`
	Version            string            `json:"version"`
	CreationTime       string            `json:"creationTime,omitempty"`
	Labels             []Label           `json:"labels,omitempty"`
	Provider           string            `json:"provider"`
	RepositoryContexts []json.RawMessage `json:"repositoryContexts"`
	Sources            []Source          `json:"sources"`
	References         []Reference       `json:"componentReferences"`
	Resources          []Resource        `json:"resources"`
}

// wireProvider is a provider written as an object.
type wireProvider struct {
	Name   string  `json:"name"`
	Labels []Label `json:"labels,omitempty"`
}

func decodeV2(js []byte) (*Descriptor, error) {
	var w wireV2
	if err := json.Unmarshal(js, &w); err != nil {
		return nil, err
	}
	c := &w.Component
	provider, err := parseProvider(c.Provider)
	if err != nil {
		return nil, fmt.Errorf("component.provider: %w", err)
	}
	return &Descriptor{
		Schema: SchemaV2,
		Component: Component{
			Name:               c.Name,
			Version:            c.Version,
			CreationTime:       c.CreationTime,
			Labels:             c.Labels,
			Provider:           provider,
			RepositoryContexts: c.RepositoryContexts,
			Sources:            c.Sources,
			References:         c.References,
			Resources:          c.Resources,
		},
		Signatures:    w.Signatures,
		NestedDigests: w.NestedDigests,
	}, nil
}

// parseProvider reads the string of schema v2, which holds either a name or a
// JSON object with name and labels.
func parseProvider(s string) (Provider, error) {
	if !strings.HasPrefix(strings.TrimSpace(s), "{") {
		return Provider{Name: s}, nil
	}
	var w wireProvider
	if err := json.Unmarshal([]byte(s), &w); err != nil {
		return Provider{Name: s}, nil //nolint:nilerr // what is no JSON is a name
	}
	if err := checkNesting([]byte(s)); err != nil {
		return Provider{}, err
	}
	return Provider{Name: w.Name, Labels: w.Labels, Object: true}, nil
}

func (p Provider) v2() (string, error) {
	if !p.Object && len(p.Labels) == 0 {
		return p.Name, nil
	}
	raw, err := marshal(wireProvider{Name: p.Name, Labels: p.Labels})
	if err != nil {
		return "", fmt.Errorf("encode provider %q: %w", p.Name, err)
	}
	return string(raw), nil
}

// encodeV2 returns the document of schema v2.
func encodeV2(d *Descriptor) (any, error) {
	c := &d.Component
	provider, err := c.Provider.v2()
	if err != nil {
		return nil, err
	}
	w := wireV2{Signatures: d.Signatures, NestedDigests: d.NestedDigests}
	w.Meta.SchemaVersion = string(SchemaV2)
	w.Component = wireV2Component{
		Name:               c.Name,
		Version:            c.Version,
		CreationTime:       c.CreationTime,
		Labels:             c.Labels,
		Provider:           provider,
		RepositoryContexts: orEmpty(c.RepositoryContexts),
		Sources:            orEmpty(c.Sources),
		References:         orEmpty(c.References),
		Resources:          orEmpty(c.Resources),
	}
	return w, nil
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// UnmarshalJSON reads the field srcRef of old descriptors as srcRefs.
func (r *Resource) UnmarshalJSON(raw []byte) error {
	type plain Resource
	w := struct {
		*plain

		Alias []SourceReference `json:"srcRef"`
	}{plain: (*plain)(r)}
	if err := json.Unmarshal(raw, &w); err != nil {
		return err
	}
	if len(r.SourceReferences) == 0 {
		r.SourceReferences = w.Alias
	}
	return nil
}
