package importgraph

import (
	"slices"
	"strings"
)

// module is the prefix that is cut from our own import paths; the root package is ".".
const module = "github.com/ocm-operator/ocm-operator"

// A wall says what the packages below From may use. Paths are relative to the module; "x" stands for x and everything
// below it.
type wall struct {
	from string
	// inside lists the packages of the module that may be imported directly; the tree's own packages always may.
	inside []string
	// never lists modules that must not be reached, not even through a dependency.
	never []string
	// direct lists modules that must not be imported directly; a dependency may bring them along.
	direct []string
	reason string
}

var (
	kubernetes = []string{"k8s.io", "sigs.k8s.io/controller-runtime"}
	client     = []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime"}
)

// Below reconcilers there are three levels: what every kind may use, the kinds, and what puts them together. A package
// that is in neither list is a kind, so that a new one has to find its level.
var (
	sharedReconcilers = []string{"choice", "lifecycle", "plugin", "source", "access", "mutation", "publish", "options", "secrets", "transfers"}
	assembly          = []string{"manager"}
)

var walls = []wall{
	{
		from: "apis", inside: nil, direct: client,
		reason: "apis knows nobody: whoever reads our types should not have to compile a client",
	},
	{
		from: "apis/config", inside: []string{}, never: kubernetes,
		reason: "ConfigData is a file format inside a component, not a Kubernetes object",
	},
	{
		from: "ocm", never: kubernetes,
		reason: "the OCM client must be usable, and testable, without Kubernetes",
	},
	{
		from: "ocm/descriptor", inside: []string{}, never: kubernetes,
		reason: "the model of a component version is below everything else in ocm",
	},
	{
		from: "registry", never: kubernetes,
		reason: "the registry serves any OCI client and knows neither Kubernetes nor components",
	},
	{
		from: "snapshot", inside: []string{"registry"}, direct: client,
		reason: "snapshots are written and read without a Kubernetes client",
	},
	{
		from: "snapshot/archive", inside: []string{}, never: kubernetes,
		reason: "archives are below snapshots and know only bytes",
	},
	{
		from: "transform", inside: []string{"apis/config", "snapshot/archive"}, never: kubernetes,
		reason: "transform is files in, files out; a resolver function answers which image a resource is",
	},
	{
		from: "git", never: kubernetes,
		reason: "git is bytes and servers: it knows no custom resource, component or snapshot",
	},
	{
		from: "git/pack", inside: []string{}, never: kubernetes,
		reason: "packs of objects are below everything else in git",
	},
	{
		from: "git/tree", inside: []string{"git/pack"}, never: kubernetes,
		reason: "trees are made of objects, whichever repository they are for",
	},
	{
		from: "git/remote", inside: []string{"git/pack", "git/tree"}, never: kubernetes,
		reason: "a remote repository takes what others have made, and knows no forge",
	},
	{
		from: "git/forge", inside: []string{}, never: kubernetes,
		reason: "a forge is asked by REST: it needs no git",
	},
	{
		from: "git/sign", inside: []string{}, never: kubernetes,
		reason: "a signer signs bytes",
	},
	{
		from: "git/message", inside: []string{}, never: kubernetes,
		reason: "a message is text about changes, and knows neither repositories nor forges",
	},
	{
		from: "reconcilers", inside: []string{"apis", "git", "ocm", "registry", "snapshot", "transform"},
		reason: "reconcilers glue the other packages and are known to main only",
	},
	{
		from: "hack", inside: []string{},
		reason: "build support does not depend on what it builds",
	},
	{
		from: "docs", inside: []string{"apis"},
		reason: "the documentation is checked against the API and nothing else",
	},
}

// breaches returns one sentence for each import that the walls forbid.
func breaches(packages []pkg) []string {
	byPath := map[string]pkg{}
	for _, p := range packages {
		byPath[p.ImportPath] = p
	}
	var found []string
	for _, p := range packages {
		if !ours(p.ImportPath) {
			continue
		}
		found = append(found, throughWalls(p, byPath)...)
		found = append(found, betweenKinds(p)...)
		found = append(found, testSupport(p)...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func throughWalls(p pkg, byPath map[string]pkg) []string {
	from := relative(p.ImportPath)
	if isTestSupport(from) {
		// What only tests import may look around; testSupport sees to it that only tests do.
		return nil
	}
	var found []string
	for _, w := range walls {
		if !below(from, w.from) {
			continue
		}
		for _, path := range p.Imports {
			switch {
			case ours(path) && !below(relative(path), w.from) && !belowAny(relative(path), w.inside):
				found = append(found, from+" imports "+relative(path)+": "+w.reason)
			case belowAny(path, w.direct):
				found = append(found, from+" imports "+path+": "+w.reason)
			}
		}
		for _, path := range p.Deps {
			if belowAny(path, w.never) {
				found = append(found, from+" reaches "+path+" through "+through(p, path, byPath)+": "+w.reason)
				// The first one names the culprit; what it brings along would only fill the screen.
				break
			}
		}
	}
	return found
}

// through names the direct import that brings a forbidden package along.
func through(p pkg, target string, byPath map[string]pkg) string {
	for _, path := range p.Imports {
		if path == target || slices.Contains(byPath[path].Deps, target) {
			return path
		}
	}
	return "its imports"
}

func betweenKinds(p pkg) []string {
	from, ok := strings.CutPrefix(relative(p.ImportPath), "reconcilers/")
	if !ok || isTestSupport(from) || slices.Contains(assembly, top(from)) {
		return nil
	}
	var found []string
	for _, path := range p.Imports {
		to, ok := strings.CutPrefix(relative(path), "reconcilers/")
		switch {
		case !ours(path) || !ok || top(to) == top(from) || slices.Contains(sharedReconcilers, top(to)):
		case slices.Contains(assembly, top(to)):
			found = append(found, "reconcilers/"+from+" imports "+to+", which puts the kinds together: only main does")
		case slices.Contains(sharedReconcilers, top(from)):
			found = append(found, "reconcilers/"+from+" imports the kind "+to+": what kinds share is below all kinds")
		default:
			found = append(found, "reconcilers/"+from+" imports the kind "+to+": what two kinds share moves down a level")
		}
	}
	return found
}

func testSupport(p pkg) []string {
	from := relative(p.ImportPath)
	if isTestSupport(from) {
		return nil
	}
	var found []string
	for _, path := range p.Imports {
		if ours(path) && isTestSupport(relative(path)) {
			found = append(found, from+" imports "+relative(path)+": that is for tests only")
		}
	}
	return found
}

// isTestSupport says whether a package exists for tests: everything in e2e, where the demo lives too, and every package
// with a name like ocmtest.
func isTestSupport(path string) bool {
	if below(path, "e2e") {
		return true
	}
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasSuffix(part, "test") && part != "test" {
			return true
		}
	}
	return false
}

func ours(path string) bool { return below(path, module) }

func relative(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

func below(path, tree string) bool { return path == tree || strings.HasPrefix(path, tree+"/") }

func belowAny(path string, trees []string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool { return below(path, tree) })
}

func top(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}
