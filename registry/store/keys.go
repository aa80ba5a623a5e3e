package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// shape is an object of a manifest whose keys mean something. Clients differ in which of two equal keys
// they take, and in whether they tell keys apart by case, so a manifest must leave them no choice.
type shape struct {
	// keys are the known ones, by their folded form.
	keys map[string]string
	// below are the objects, or lists of objects, that are under a key.
	below map[string]*shape
}

func newShape(below map[string]*shape, keys ...string) *shape {
	s := &shape{keys: map[string]string{}, below: below}
	for _, key := range keys {
		s.keys[fold(key)] = key
	}
	return s
}

func manifestShape() *shape {
	platform := newShape(nil, "architecture", "os", "os.version", "os.features", "variant", "features")
	descriptor := newShape(map[string]*shape{"platform": platform},
		"mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType")
	below := map[string]*shape{"config": descriptor, "layers": descriptor, "manifests": descriptor, "subject": descriptor}
	return newShape(below, "schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations")
}

// fold makes keys equal that encoding/json takes for equal.
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, key)
}

// checkKeys refuses JSON with a key twice in one object. In objects of a known shape keys that differ in
// case only are the same, and known ones are to be written as they are known.
func checkKeys(body []byte, s *shape) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return checkValue(d, s)
}

func checkValue(d *json.Decoder, s *shape) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return checkObject(d, s)
	case json.Delim('['):
		for d.More() {
			if err := checkValue(d, s); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}

func checkObject(d *json.Decoder, s *shape) error {
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		name, below := key, (*shape)(nil)
		if s != nil {
			name, below = fold(key), s.below[key]
			if known := s.keys[name]; known != "" && known != key {
				return fmt.Errorf("key %q has to be written %q", clip(key), known)
			}
		}
		if seen[name] {
			return fmt.Errorf("key %q is there twice", clip(key))
		}
		seen[name] = true
		if err := checkValue(d, below); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}
