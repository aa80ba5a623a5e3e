package certs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/registry/certs"
)

// TestHostsOfOthers: servers with one bundle that go by different addresses come to one certificate for all of them, up to a
// bound. One that is made because of its age is for the addresses of today.
func TestHostsOfOthers(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	one, other := c.options("one", "localhost", "127.0.0.1"), c.options("other", "localhost", "127.0.0.1")
	b, _ := ensure(t, certs.Bundle{}, one)
	b, changed := ensure(t, b, other)
	if !changed {
		t.Error("the certificate is not for the other address")
	}
	for _, o := range []certs.Options{one, other, one} {
		if _, changed := ensure(t, b, o); changed {
			t.Errorf("the certificate is replaced again for the sake of %s", o.Hosts[0])
		}
	}
	for _, host := range []string{"one", "other", "localhost", "127.0.0.1"} {
		if err := b.Check(host, c.now); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for n := range 100 {
		name := fmt.Sprint("host-", n)
		b, _ = ensure(t, b, c.options(name))
		if err := b.Check(name, c.now); err != nil {
			t.Fatal(err)
		}
	}
	if b.Check("host-0", c.now) == nil || b.Check("host-98", c.now) != nil {
		t.Error("a hundred addresses are kept, or none")
	}
	c.now = c.now.Add(25 * day)
	if b, _ = ensure(t, b, one); b.Check("host-99", c.now) == nil || b.Check("one", c.now) != nil {
		t.Error("a renewed certificate is for addresses of long ago")
	}
}

func TestForeign(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	o := c.options("registry")
	ours, _ := ensure(t, certs.Bundle{}, o)
	theirs, _ := ensure(t, certs.Bundle{}, o)
	rotated, err := certs.Rotate(ours, o, certs.AuthorityPart)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		b    certs.Bundle
		want bool
	}{
		"own":                        {ours, false},
		"own, of another authority":  {rotated, false},
		"own, of the one before":     {certs.Bundle{CACert: rotated.CACert, CAKey: rotated.CAKey, Cert: ours.Cert, Key: ours.Key}, false},
		"theirs beside ours":         {certs.Bundle{CACert: ours.CACert, CAKey: ours.CAKey, Cert: theirs.Cert, Key: theirs.Key}, true},
		"theirs, with our key left":  {certs.Bundle{CACert: theirs.CACert, CAKey: ours.CAKey, Cert: theirs.Cert, Key: theirs.Key}, true},
		"theirs, no authority":       {certs.Bundle{CAKey: ours.CAKey, Cert: theirs.Cert, Key: theirs.Key}, true},
		"certificate was taken away": {certs.Bundle{CACert: ours.CACert, CAKey: ours.CAKey}, false},
		"certificate is broken":      {certs.Bundle{CACert: ours.CACert, CAKey: ours.CAKey, Cert: []byte("x")}, false},
	} {
		if got := tc.b.Foreign(); got != tc.want {
			t.Errorf("%s: foreign is %t", name, got)
		}
	}
	if from := ours.ValidFrom(); from.After(c.now) || from.IsZero() || !(certs.Bundle{}).ValidFrom().IsZero() {
		t.Errorf("valid from %s", from)
	}
}
