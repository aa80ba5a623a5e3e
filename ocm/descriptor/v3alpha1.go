package descriptor

import "encoding/json"

// wireV3 is schema ocm.software/v3alpha1 as it is stored.
type wireV3 struct {
	Metadata struct {
		Name         string       `json:"name"`
		Version      string       `json:"version"`
		CreationTime string       `json:"creationTime"`
		Labels       []Label      `json:"labels"`
		Provider     wireProvider `json:"provider"`
	} `json:"metadata"`
	RepositoryContexts []json.RawMessage `json:"repositoryContexts"`
	Spec               struct {
		Sources    []Source    `json:"sources"`
		References []Reference `json:"references"`
		Resources  []Resource  `json:"resources"`
	} `json:"spec"`
	Signatures    []Signature    `json:"signatures"`
	NestedDigests []NestedDigest `json:"nestedDigests"`
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
