package access

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// TestGuideForKnownCredentials does what the guide says, one command after the other without a pause.
func TestGuideForKnownCredentials(t *testing.T) {
	e := e2etest.Shared(t)
	guide, err := os.ReadFile("../../docs/guides/registry/access.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := bytes.Cut(guide, []byte("## A credential has become known"))
	if !found {
		t.Fatal("the guide has no such section")
	}
	operators := func() (key, previous []byte) {
		t.Helper()
		secret := e.Kubectl("-n", "ocm-system", "get", "secret", keySecret, "-o", "jsonpath={.data.key},{.data.previous}")
		a, b, _ := strings.Cut(secret, ",")
		return []byte(a), []byte(b)
	}
	before, _ := operators()
	commands := 0
	for line := range strings.Lines(string(section)) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), "kubectl "); ok {
			e.Kubectl(strings.Fields(strings.ReplaceAll(command, "'", ""))...)
			commands++
		}
	}
	e.Eventually("the key before is forgotten", func() error {
		if _, previous := operators(); len(previous) > 0 {
			return errors.New("it is still there")
		}
		return nil
	})
	if after, _ := operators(); commands != 3 || bytes.Equal(after, before) {
		t.Errorf("after %d commands the key is the same: %t", commands, bytes.Equal(after, before))
	}
}
