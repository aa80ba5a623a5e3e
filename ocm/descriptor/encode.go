package descriptor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// Encode writes the descriptor as YAML in the schema that it was read from, since
// the oldest signatures are made over that. Equal descriptors give equal bytes. It
// refuses a descriptor that Validate refuses.
func Encode(d *Descriptor) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	c := &d.Component
	document := encodeV2
	if d.Schema == SchemaV3Alpha1 {
		document = encodeV3
	}
	w, err := document(d)
	if err != nil {
		return nil, err
	}
	js, err := marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode component descriptor of %s:%s: %w", c.Name, c.Version, err)
	}
	data, err := toYAML(js)
	if err != nil {
		return nil, fmt.Errorf("encode component descriptor of %s:%s: %w", c.Name, c.Version, err)
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%w: %s:%s has %d bytes, at most %d are written", ErrTooLarge, c.Name, c.Version, len(data), MaxBytes)
	}
	return data, nil
}

// toYAML turns JSON without blanks into YAML that is read as the same.
func toYAML(js []byte) ([]byte, error) {
	// It would be written without quotes, and merged with the object around it
	// when it is read.
	if bytes.Contains(js, []byte(`"<<":`)) {
		return nil, errors.New(`the key "<<" has another meaning in YAML`)
	}
	// Values of labels are as they were read, and may have characters beyond the
	// basic plane as two escapes, which are none in YAML.
	if bytes.Contains(js, []byte(`\u`)) || !utf8.Valid(js) {
		dec := json.NewDecoder(bytes.NewReader(js))
		dec.UseNumber()
		var v any
		err := dec.Decode(&v)
		if err != nil {
			return nil, err
		}
		if js, err = marshal(v); err != nil {
			return nil, err
		}
	}
	return yaml.JSONToYAML(js)
}

// marshal leaves <, > and & as they are.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
