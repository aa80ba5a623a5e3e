package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

var update = flag.Bool("update", false, "write docs/flags.md anew")

// help returns what --help prints.
func help(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, &out); !errors.Is(err, options.ErrHelp) {
		t.Fatalf("run --help = %v, want ErrHelp", err)
	}
	return out.String()
}

// TestFlagsPage holds docs/flags.md to what the operator says of itself.
func TestFlagsPage(t *testing.T) {
	const page, intro = "docs/flags.md", "# Flags of the operator\n\nThis is what `ocm-operator --help` prints; a test keeps it so.\n\n```text\n"
	// The default of this one is the temporary folder of the machine that asks.
	text := strings.ReplaceAll(help(t), os.TempDir(), "/tmp") //nolint:usetesting // what the flag's default is made of
	want := intro + text + "```\n"
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what --help prints; run: go test . -update\n%s", page, diff)
	}
}

func TestRunRefusesBadFlags(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		want   string
		reason string
	}{
		"unknown feature":   {[]string{"--features=Gitsync=false"}, `unknown feature "Gitsync", known are ComponentVersion`, "the message lists the gates"},
		"missing value":     {[]string{"--features=Resource"}, "Resource=false", "the message shows the form"},
		"required feature":  {[]string{"--features=Snapshot=false"}, "requires Snapshot", "half a pipeline is no pipeline"},
		"no workers":        {[]string{"--concurrent=0"}, "--concurrent is 0, want 1 to 1000", "the message has the bounds"},
		"unknown kind":      {[]string{"--concurrent-kinds=Gitsync=2"}, `unknown kind "Gitsync", known are ComponentVersion`, "the message lists the kinds"},
		"no port":           {[]string{"--registry-address=registry"}, "--registry-address", "Flux needs host and port"},
		"stray argument":    {[]string{"start"}, `unexpected argument "start"`, "a subcommand is a mistake, not ignored"},
		"backwards backoff": {[]string{"--min-retry-delay=1h"}, "--min-retry-delay is 1h0m0s", "bounds are checked together"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), test.args, &bytes.Buffer{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("run(%q) = %v, want an error with %q: %s", test.args, err, test.want, test.reason)
			}
		})
	}
}
