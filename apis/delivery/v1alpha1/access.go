package v1alpha1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Access says where a resource or a source is stored: a type, and whatever else that type needs.
// +kubebuilder:pruning:PreserveUnknownFields
type Access struct {
	// type is the type of the access, at most 1024 characters; the other fields depend on it. It has no default. Example: ociArtifact.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Type string `json:"type"`

	// Raw is the whole access as JSON, with its type. Nothing of it is lost or reordered.
	Raw json.RawMessage `json:"-"`
}

// ErrAccessWithoutType tells that an access has no type, so that nobody can use it.
var ErrAccessWithoutType = errors.New(`an access needs the field "type", such as ociArtifact or localBlob`)

// NewAccess returns the access that the JSON object describes, or ErrAccessWithoutType.
func NewAccess(raw []byte) (Access, error) {
	var access Access
	if err := json.Unmarshal(raw, &access); err != nil {
		return Access{}, err
	}
	if access.Type == "" {
		return Access{}, ErrAccessWithoutType
	}
	return access, nil
}

// MarshalJSON returns the whole access, or only its type when there is nothing else.
func (a Access) MarshalJSON() ([]byte, error) {
	if len(a.Raw) > 0 {
		return a.Raw, nil
	}
	return json.Marshal(map[string]string{"type": a.Type})
}

// UnmarshalJSON keeps the whole access beside its type. A missing type is let through: one such object must not keep a client from reading all others.
func (a *Access) UnmarshalJSON(data []byte) error {
	var typed struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(data, &typed); err != nil {
		return fmt.Errorf("read access: %w", err)
	}
	a.Type, a.Raw = typed.Type, bytes.Clone(data)
	return nil
}
