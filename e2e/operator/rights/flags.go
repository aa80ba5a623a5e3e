package rights

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// flagSet is how flags begin that stand for names of objects in the files.
const flagSet = "--"

// defaults are those of the flags that decide about rights.
var defaults = map[string]string{
	"--features":                       "",
	"--watch-namespace":                "",
	"--watch-secrets":                  "false",
	"--enable-leader-election":         "false",
	"--leader-election-id":             "ocm-operator-leader",
	"--object-level-workload-identity": "false",
	"--external-artifacts":             "false",
	"--registry-plain-http":            "false",
	"--registry-token-auth":            "true",
	"--registry-cert-secret":           "ocm-registry-tls-certs",
	"--registry-key-secret":            "ocm-registry-key",
	"--registry-writer-secret":         "",
	"--snapshot-registry":              "",
	"--snapshot-registry-secret":       "",
	"--snapshot-registry-pull-secret":  "",
	"--snapshot-registry-cert-secret":  "",
}

// flags are the values of those flags.
type flags map[string]string

// parse reads arguments of the operator as it does itself: the last one of a name counts, and a switch needs no value.
func parse(args []string) flags {
	f := maps.Clone(flags(defaults))
	for _, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		if _, known := defaults[name]; !known {
			continue
		}
		if !given {
			value = "true"
		}
		f[name] = value
	}
	return f
}

func (f flags) on(name string) bool {
	on, err := strconv.ParseBool(f[name])
	return err == nil && on
}

// enabled returns which features are on.
func (f flags) enabled(known []string) (map[string]bool, error) {
	enabled := map[string]bool{}
	for _, name := range known {
		enabled[name] = true
	}
	for gate := range strings.SplitSeq(f["--features"], ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(gate), "=")
		if name == "" {
			continue
		}
		on, err := strconv.ParseBool(value)
		if _, ok := enabled[name]; !ok || err != nil {
			return nil, fmt.Errorf("--features has %q, want a feature and true or false", gate)
		}
		enabled[name] = on
	}
	return enabled, nil
}

// options returns the names of the options that are on.
func (f flags) options(enabled map[string]bool) []string {
	names := []string{"operator"}
	for _, option := range []struct {
		name string
		on   bool
	}{
		{"leader-election", f.on("--enable-leader-election")},
		{"secrets-watch", f.on("--watch-secrets")},
		{"workload-identity", f.on("--object-level-workload-identity") && (enabled["ComponentVersion"] || enabled["ComponentSubscription"])},
		{"external-registry", f.external()},
		{"registry", !f.external()},
		{"token-auth", !f.external() && f.on("--registry-token-auth")},
		{"external-artifacts", !f.external() && f.on("--external-artifacts") && enabled["FluxDeployer"]},
	} {
		if option.on {
			names = append(names, option.name)
		}
	}
	return names
}

func (f flags) external() bool { return f["--snapshot-registry"] != "" }

// name returns the name of an object that a rule has; it is empty where no object has a name.
func (f flags) name(name string) string {
	switch {
	case !strings.HasPrefix(name, flagSet):
		return name
	case name == "--registry-cert-secret" && f.on("--registry-plain-http"):
		return "" // nobody reads certificates then
	}
	return f[name]
}
