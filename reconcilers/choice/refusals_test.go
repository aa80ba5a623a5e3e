package choice_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	var refused []v1alpha1.PassedOverVersion
	for i, why := range []string{"wrong key", "tampered", "wrong key", "expired", "unsigned", "no digest"} {
		refused = append(refused, v1alpha1.PassedOverVersion{Version: fmt.Sprintf("1.%d.0", i), Message: why})
	}
	first, more := choice.Refusals(refused)
	var got []string
	for _, refusal := range first {
		got = append(got, refusal.String())
	}
	want := []string{"1.0.0, 1.2.0: wrong key", "1.1.0: tampered", "1.3.0: expired"}
	if diff := cmp.Diff(want, got); diff != "" || more != 2 {
		t.Errorf("%d more reasons, want 2 (-want +got):\n%s", more, diff)
	}
	if first, more := choice.Refusals(nil); len(first) > 0 || more != 0 {
		t.Errorf("reasons for nothing are %v and %d more", first, more)
	}
}

func TestWhy(t *testing.T) {
	t.Parallel()
	cause := errors.New("signature does not hold")
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"the version itself": {&verify.Error{Path: []string{"acme.org/app 1.0.0"}, Err: cause}, (&verify.Error{Err: cause}).Error()},
		"one below":          {&verify.Error{Path: []string{"acme.org/app 1.0.0", "acme.org/lib 1.0.0"}, Err: cause}, ""},
		"something else":     {cause, cause.Error()},
	} {
		if tc.want == "" {
			tc.want = tc.err.Error()
		}
		if got := choice.Why(tc.err); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
