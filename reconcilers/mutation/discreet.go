package mutation

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// minHidden is how long a text must be to be hidden: shorter ones are in every message, and hiding them would tell them.
const minHidden = 4

// hide remembers every text and number of values that came from a Secret.
func (r *Run) hide(value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, item := range v {
			r.hide(item)
		}
	case []any:
		for _, item := range v {
			r.hide(item)
		}
	case nil, bool:
	default:
		if text := fmt.Sprint(v); len(text) >= minHidden {
			r.hidden = append(r.hidden, spellings(text)...)
		}
	}
}

// spellings are the ways in which messages write a text: as it is, or quoted in one of several styles.
func spellings(text string) []string {
	quoted := strconv.Quote(text)
	quoted = quoted[1 : len(quoted)-1]
	single := strings.ReplaceAll(quoted, `\"`, `"`)
	return []string{text, quoted, single, strings.ReplaceAll(single, "'", `\'`)}
}

// discreet hides what came from a Secret in the message of an error: schemas and expressions quote what they are given.
func (r *Run) discreet(err error) error {
	if err == nil || len(r.hidden) == 0 {
		return err
	}
	// The longest first, so that no part of a text is left when another is a part of it.
	slices.SortFunc(r.hidden, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	pairs := make([]string, 0, 2*len(r.hidden))
	for _, text := range slices.Compact(r.hidden) {
		pairs = append(pairs, text, "***")
	}
	return &discreetError{message: strings.NewReplacer(pairs...).Replace(err.Error()), err: err}
}

// discreetError is an error whose message shows nothing of a Secret.
type discreetError struct {
	message string
	err     error
}

// Error implements error.
func (e *discreetError) Error() string { return e.message }

// Unwrap makes errors.Is and errors.As see what happened.
func (e *discreetError) Unwrap() error { return e.err }
