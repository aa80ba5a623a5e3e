package descriptor

import "encoding/json"

// kindV3 is the kind of the documents of schema v3alpha1.
const kindV3 = "ComponentVersion"

// wireV3 is schema ocm.software/v3alpha1 as it is stored.
type wireV3 struct {
	APIVersion         string            `json:"apiVersion"`
	Kind               string            `json:"kind"`
	Metadata           wireV3Metadata    `json:"metadata"`
	RepositoryContexts []json.RawMessage `json:"repositoryContexts"`
	Spec               wireV3Spec        `json:"spec"`
	Signatures         []Signature       `json:"signatures,omitempty"`
	NestedDigests      []NestedDigest    `json:"nestedDigests,omitempty"`
}

type wireV3Metadata struct {
	Name         string       `json:"name"`
	Version      string       `json:"version"`
	CreationTime string       `json:"creationTime,omitempty"`
	Labels       []Label      `json:"labels,omitempty"`
	Provider     wireProvider `json:"provider"`
}

// wireV3Spec has lists that are left out when they are empty, other than those of
// schema v2.
type wireV3Spec struct {
	Sources    []Source    `json:"sources,omitempty"`
	References []Reference `json:"references,omitempty"`
	Resources  []Resource  `json:"resources,omitempty"`
}

func decodeV3(js []byte) (*Descriptor, error) {
	var w wireV3
	if err := json.Unmarshal(js, &w); err != nil {
		return nil, err
	}
	m := &w.Metadata
	return &Descriptor{
		Schema: SchemaV3Alpha1,
		Component: Component{
			Name:               m.Name,
			Version:            m.Version,
			CreationTime:       m.CreationTime,
			Labels:             m.Labels,
			Provider:           Provider{Name: m.Provider.Name, Labels: m.Provider.Labels, Object: true},
			RepositoryContexts: w.RepositoryContexts,
			Sources:            w.Spec.Sources,
			References:         w.Spec.References,
			Resources:          w.Spec.Resources,
		},
		Signatures:    w.Signatures,
		NestedDigests: w.NestedDigests,
	}, nil
}

// encodeV3 returns the document of schema v3alpha1.
func encodeV3(d *Descriptor) (any, error) {
	c := &d.Component
	return wireV3{
		APIVersion: string(SchemaV3Alpha1),
		Kind:       kindV3,
		Metadata: wireV3Metadata{
			Name:         c.Name,
			Version:      c.Version,
			CreationTime: c.CreationTime,
			Labels:       c.Labels,
			Provider:     wireProvider{Name: c.Provider.Name, Labels: c.Provider.Labels},
		},
		RepositoryContexts: orEmpty(c.RepositoryContexts),
		Spec:               wireV3Spec{Sources: c.Sources, References: c.References, Resources: c.Resources},
		Signatures:         d.Signatures,
		NestedDigests:      d.NestedDigests,
	}, nil
}
