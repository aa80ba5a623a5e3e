package release

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func script(t *testing.T, args ...string) (output string, ok bool) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "../release.sh", args...).CombinedOutput()
	return string(out), err == nil
}

func TestNotesAreASectionOfTheChangelog(t *testing.T) {
	t.Parallel()
	changelog, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	headings := regexp.MustCompile(`(?m)^## \[(.+?)\]`).FindAllStringSubmatch(string(changelog), -1)
	sections := regexp.MustCompile(`(?m)^## .*\n`).Split(string(changelog), -1)[1:]
	if len(headings) == 0 || len(headings) != len(sections) {
		t.Fatalf("%d headings with a version and %d sections", len(headings), len(sections))
	}
	// Who reads the notes is not in the folder that the changelog links from.
	link := regexp.MustCompile(`\]\(([^#):][^):]*)\)`)
	for i, heading := range headings {
		want := link.ReplaceAllString(strings.TrimSpace(sections[i]), "](https://github.com/ocm-operator/ocm-operator/blob/"+heading[1]+"/$1)")
		got, ok := script(t, "--notes", heading[1])
		if want == "" {
			if ok {
				t.Errorf("notes of %s, which has none: %q", heading[1], got)
			}
			continue
		}
		if !ok || strings.TrimSpace(got) != want {
			t.Errorf("notes of %s are %d bytes, want the %d of its section", heading[1], len(got), len(want))
		}
	}
}

func TestWhatIsNotAReleaseIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no version":      {nil, "usage"},
		"no v":            {[]string{"1.2.3"}, "semantic version with a v"},
		"not a version":   {[]string{"--dry-run", "latest"}, "semantic version with a v"},
		"not tagged":      {[]string{"v987.65.43"}, "not tagged v987.65.43"},
		"without notes":   {[]string{"--notes", "v987.65.43"}, "no section '## [987.65.43]'"},
		"notes of a dot":  {[]string{"--notes", "."}, "no section"},
		"without version": {[]string{"--notes"}, "usage"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, ok := script(t, tt.args...); ok || !strings.Contains(out, tt.want) {
				t.Errorf("succeeded: %t, output %q, want a failure that says %q", ok, out, tt.want)
			}
		})
	}
}
