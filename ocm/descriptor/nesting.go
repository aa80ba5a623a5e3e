package descriptor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// maxDepth bounds how deep lists and objects nest. The deepest place of the
// format itself is seven; the rest is for the values of labels.
const maxDepth = 64

const (
	// maxElements bounds a list of the format. An element takes hundreds of
	// bytes of memory even where it is two bytes of text; one that says
	// something has so many that no more fit into MaxBytes.
	maxElements = 20_000
	// maxAllElements bounds the lists of the format together, which may be in
	// each other.
	maxAllElements = 200_000
	// maxMarks bounds the line breaks and commas of YAML, whose parser takes
	// hundreds of bytes for each value.
	maxMarks = 500_000
)

// checkMarks bounds how many values a document in YAML may have.
func checkMarks(data []byte) error {
	if n := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte(",")); n > maxMarks {
		return fmt.Errorf("%w: it has %d lines and commas, at most %d are read", ErrTooLarge, n, maxMarks)
	}
	return nil
}

// checkNesting bounds the depth and the lists, and refuses a key that occurs twice in one
// object, where two readers could see two different descriptors. Keys that
// differ in case only are the same: decoders take either for a field.
func checkNesting(js []byte) error {
	dec := json.NewDecoder(bytes.NewReader(js))
	dec.UseNumber()
	var stack nesting
	elements := 0
	for {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		if delim, ok := tok.(json.Delim); ok && (delim == '}' || delim == ']') {
			stack = stack[:len(stack)-1]
		} else if err := stack.take(tok, &elements); err != nil {
			return err
		}
		if len(stack) > maxDepth {
			return fmt.Errorf("more than %d levels of nesting", maxDepth)
		}
		if len(stack) == 0 {
			return nil
		}
	}
}

// nesting is the lists and objects around a place, from the outermost.
type nesting []*container

// container is one list or object.
type container struct {
	isMap bool
	// free is true where keys mean nothing to us, so that their case matters.
	free bool
	// inValue is true after a key, which is the current one.
	inValue bool
	key     string
	// index is how many elements a list has had.
	index int
	// keys are those of an object by what makes them equal.
	keys map[string]string
}

// take accepts the next token, which does not close anything, and counts the
// elements of lists.
func (n *nesting) take(tok json.Token, elements *int) error {
	free := false
	if len(*n) > 0 {
		top := (*n)[len(*n)-1]
		switch {
		case !top.isMap:
			if err := n.takeElement(top, elements); err != nil {
				return err
			}
		case top.inValue:
			top.inValue = false
		default:
			key, _ := tok.(string)
			return n.takeKey(top, key)
		}
		free = top.free || n.freeForm()
	}
	if delim, ok := tok.(json.Delim); ok {
		*n = append(*n, &container{isMap: delim == '{', free: free})
	}
	return nil
}

func (n *nesting) takeElement(top *container, elements *int) error {
	top.index++
	if top.free {
		return nil // it stays text
	}
	*elements++
	switch {
	case top.index > maxElements:
		return fmt.Errorf("%w: %s has more than %d elements", ErrTooLarge, n, maxElements)
	case *elements > maxAllElements:
		return fmt.Errorf("%w: its lists have more than %d elements together", ErrTooLarge, maxAllElements)
	}
	return nil
}

func (n *nesting) takeKey(top *container, key string) error {
	same := key
	if !top.free {
		same = fold(key)
	}
	switch other, twice := top.keys[same]; {
	case twice && other == key:
		return fmt.Errorf("key %q occurs twice in %s", key, n)
	case twice:
		return fmt.Errorf("keys %q and %q of %s differ in case only", other, key, n)
	}
	if top.keys == nil {
		top.keys = map[string]string{}
	}
	top.keys[same] = key
	top.key, top.inValue = key, true
	return nil
}

// freeForm reports whether the current key holds data of others: the value of a
// label, or the configuration of how it is merged.
func (n *nesting) freeForm() bool {
	s := *n
	top := s[len(s)-1]
	within := func(list int) bool { return list > 0 && !s[list].isMap && strings.EqualFold(s[list-1].key, "labels") }
	switch {
	case !top.isMap:
		return false
	case strings.EqualFold(top.key, "value"):
		return within(len(s) - 2)
	case strings.EqualFold(top.key, "config"):
		return within(len(s)-3) && strings.EqualFold(s[len(s)-2].key, "merge")
	}
	return false
}

// String returns the path of the innermost object.
func (n *nesting) String() string {
	var path strings.Builder
	for _, c := range (*n)[:len(*n)-1] {
		switch {
		case !c.isMap:
			fmt.Fprintf(&path, "[%d]", c.index-1)
		case path.Len() == 0:
			path.WriteString(c.key)
		default:
			path.WriteString("." + c.key)
		}
	}
	if path.Len() == 0 {
		return "the top level"
	}
	return path.String()
}

// fold returns the same text for all keys that the JSON decoder takes for one
// field.
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
