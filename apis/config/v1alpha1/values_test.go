package v1alpha1_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
)

func TestParseValues(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text   string
		want   map[string]any
		reason string
	}{
		"empty":       {"", map[string]any{}, "no values"},
		"comment":     {"# nothing yet\n", map[string]any{}, "no values"},
		"null":        {"null", map[string]any{}, "no values"},
		"JSON":        {`{"a":{"b":[1,2.5,true,null]}}`, map[string]any{"a": map[string]any{"b": []any{int64(1), 2.5, true, nil}}}, "JSON is YAML"},
		"date":        {"a: 2001-01-01", map[string]any{"a": "2001-01-01"}, "as in ConfigData"},
		"number keys": {"a: {8080: b}", map[string]any{"a": map[string]any{"8080": "b"}}, "as in ConfigData"},
		"big integer": {"a: 9007199254740993", map[string]any{"a": int64(9007199254740993)}, "a float could not hold it"},
		"anchor":      {"a: &x {b: 1}\nc: *x", map[string]any{"a": map[string]any{"b": int64(1)}, "c": map[string]any{"b": int64(1)}}, "anchors are a part of YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := configv1.ParseValues([]byte(tc.text))
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", tc.reason, err, diff)
			}
		})
	}
}

func TestParseValuesRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"list": "[1]", "text": "hello", "second document": "a: 1\n---\nb: 2", "broken": "{", "no number": "a: .inf", "itself": "a: &x {b: *x}",
		"billions": "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]",
	} {
		if got, err := configv1.ParseValues([]byte(text)); err == nil {
			t.Errorf("%s was read as %v", name, got)
		}
	}
	if _, err := configv1.ParseValues(bytes.Repeat([]byte(" "), configv1.MaxBytes+1)); !errors.Is(err, configv1.ErrTooLarge) {
		t.Errorf("error is %v, want that it is too large", err)
	}
}

func FuzzParseValues(f *testing.F) {
	for _, seed := range []string{"a: 1", "a: &x {b: *x}", "{8080: 2001-01-01}", "a: !!binary x", "---\n---", strings.Repeat("[", 200)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := configv1.ParseValues(data)
		if (values == nil) == (err == nil) {
			t.Errorf("values %v with error %v", values, err)
		}
	})
}
