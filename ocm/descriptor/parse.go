package descriptor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// MaxBytes is the size of the largest descriptor that Parse reads.
const MaxBytes = 4 << 20

// Errors of Parse. Errors that wrap none of them are about the content.
var (
	// ErrTooLarge says that a descriptor is larger than it may be, or has more in
	// it than fits into memory.
	ErrTooLarge = errors.New("component descriptor is too large")
	// ErrUnknownSchema says that the schema is missing or not known.
	ErrUnknownSchema = errors.New("unknown component descriptor schema")
)

// legacyV3Alpha1 is an older spelling of SchemaV3Alpha1.
const legacyV3Alpha1 = "ocm.gardener.cloud/v3alpha1"

// Parse reads a descriptor of schema v2 or ocm.software/v3alpha1, written as
// YAML or JSON. Unknown fields are ignored, as the reference tools do; a name
// or version that nothing could be looked up by is an error.
func Parse(data []byte) (*Descriptor, error) { return ParseWithin(data, MaxBytes) }

// ParseWithin is Parse with another bound than MaxBytes.
func ParseWithin(data []byte, limit int64) (*Descriptor, error) {
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read; --max-descriptor-size allows more", ErrTooLarge, len(data), limit)
	}
	js, err := toJSON(data)
	if err != nil {
		return nil, fmt.Errorf("parse component descriptor: %w", err)
	}
	d, err := decode(js)
	if err != nil {
		return nil, fmt.Errorf("parse component descriptor: %w", err)
	}
	if err := d.checkIdentity(); err != nil {
		return nil, err
	}
	return d, nil
}

func toJSON(data []byte) ([]byte, error) {
	js := bytes.TrimSpace(data)
	if !bytes.HasPrefix(js, []byte("{")) || !json.Valid(js) {
		if err := checkMarks(data); err != nil {
			return nil, err
		}
		if err := refuseAliases(data); err != nil {
			return nil, err
		}
		var err error
		if js, err = yaml.YAMLToJSONStrict(data); err != nil {
			return nil, err
		}
		if err := refuseMore(data); err != nil {
			return nil, err
		}
	}
	if err := checkNesting(js); err != nil {
		return nil, err
	}
	return js, nil
}

// refuseAliases refuses YAML aliases: no tool writes them into descriptors, and
// a few of them expand a small document to gigabytes.
func refuseAliases(data []byte) error {
	if !bytes.ContainsRune(data, '*') || !bytes.ContainsRune(data, '&') {
		return nil
	}
	var root yamlv3.Node
	if err := yamlv3.Unmarshal(data, &root); err != nil {
		return err
	}
	return walkAliases(&root)
}

// refuseMore refuses a second document: readers of the first one only, and of
// the last one, would see two different descriptors.
func refuseMore(data []byte) error {
	// Most descriptors have no mark that could end a document, and are not read twice.
	if !bytes.Contains(data, []byte("---")) && !bytes.Contains(data, []byte("...")) {
		return nil
	}
	dec := yamlv3.NewDecoder(bytes.NewReader(data))
	for n := 0; ; n++ {
		var root yamlv3.Node
		err := dec.Decode(&root)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n > 0 && !empty(&root):
			return fmt.Errorf("line %d: a second YAML document begins, there must be one", root.Content[0].Line)
		}
	}
}

// empty reports whether nothing follows the mark that ends a document.
func empty(document *yamlv3.Node) bool {
	return len(document.Content) == 0 || document.Content[0].ShortTag() == "!!null"
}

func walkAliases(n *yamlv3.Node) error {
	if n.Kind == yamlv3.AliasNode {
		return fmt.Errorf("line %d: YAML aliases are not allowed", n.Line)
	}
	for _, c := range n.Content {
		if err := walkAliases(c); err != nil {
			return err
		}
	}
	return nil
}

func decode(js []byte) (*Descriptor, error) {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Meta       struct {
			SchemaVersion string `json:"schemaVersion"`
		} `json:"meta"`
	}
	if err := json.Unmarshal(js, &head); err != nil {
		return nil, err
	}
	schema := head.APIVersion
	switch {
	case schema != "" && head.Meta.SchemaVersion != "":
		return nil, fmt.Errorf("%w: both apiVersion and meta.schemaVersion are set", ErrUnknownSchema)
	case schema == "":
		schema = head.Meta.SchemaVersion
	}
	switch schema {
	case string(SchemaV2):
		return decodeV2(js)
	case string(SchemaV3Alpha1), legacyV3Alpha1:
		return decodeV3(js)
	case "":
		return nil, fmt.Errorf("%w: neither apiVersion nor meta.schemaVersion is set", ErrUnknownSchema)
	}
	return nil, fmt.Errorf("%w %q: this version reads %s and %s", ErrUnknownSchema, schema, SchemaV2, SchemaV3Alpha1)
}
