package vectors

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Verdicts on a vector that was manipulated.
const (
	Accept = "accept"
	Reject = "reject"
	// Either is where verifiers may differ, as long as they say so.
	Either = "accept or reject"
)

// Negative is a signed component version that was manipulated.
type Negative struct {
	// Set is the tool that signed it, negative-classic or negative-new.
	Set string `json:"-"`
	// Name says what was done.
	Name string `json:"-"`
	// Shallow is the verdict of who looks at the descriptor only.
	Shallow string `json:"shallow"`
	// Honest is the verdict of who reads everything.
	Honest string `json:"honest"`
	// Why says what was done in more words.
	Why string `json:"why"`
	// Fault is what a verifier finds first that proves all descriptors before it
	// reads contents. It is empty where nothing that counts is wrong.
	Fault Fault `json:"-"`
}

// Fault is what is wrong with a manipulated component version.
type Fault struct {
	// Path leads from the root to the component version at fault, as in root, mid:
	// the last parts of the names.
	Path []string
	// Element is at fault, as in "signature orchard" or "resource config". It is
	// empty if the component version itself is, which then is not what the
	// reference to it says.
	Element string
	// Found and Wanted are what there is and what should be there: digests in hex,
	// component versions, or a length where that differs already. They are empty
	// where two signatures have one name.
	Found, Wanted string
}

// Archive returns the name of the transport archive.
func (n *Negative) Archive() string { return n.Set + "/" + n.Name }

// Component returns the name of the component, whose version is Version.
func (n *Negative) Component() string {
	if n.Set == "negative-new" {
		return groveRoot
	}
	return orchardRoot
}

// Version is the version of everything that was signed, except for what has
// build metadata.
const Version = "3.0.0"

// Negatives returns what was manipulated, sorted.
func Negatives() []Negative {
	var out []Negative
	for name, content := range all().files {
		set, ok := strings.CutSuffix(name, "/expected.json")
		if !ok {
			continue
		}
		var cases map[string]Negative
		if err := json.Unmarshal(content, &cases); err != nil {
			panic(fmt.Sprintf("%s: %v", name, err)) // it is a part of this package
		}
		for name, n := range cases {
			n.Set, n.Name, n.Fault = set, name, faults[set][name]
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b Negative) int { return strings.Compare(a.Archive(), b.Archive()) })
	return out
}

// Digests that are the same in both sets.
const (
	config    = "2ed5867ac82a6250572485ba965e3ff3165838aed725d9c7e69121309aecdb4b"
	evil      = "c60e5f7fd06fa37d1b3bb169a4aecc146f6e37e518a163fee699eb17dc98f817"
	webImage  = "a9c9bb60792f9062f7f71677a6d40e98441ff4a192d3bfb5851aec2cf23bb071"
	pearChart = "151b0b5ad6c78d327524e479b3a8bfe00711784a267ec549849ef24223359936"
)

// root, mid and leaf are the paths to the three levels of both trees.
var (
	root = []string{"root"}
	mid  = []string{"root", "mid"}
	leaf = []string{"root", "mid", "leaf"}
)

// faults are by set and name. Digests of changed roots are as the reference tools
// printed them, too.
var faults = map[string]map[string]Fault{
	"negative-classic": {
		"access-redirected":            at(root, "resource config", evil, config),
		"blob-content-swapped":         at(root, "resource config", "11 bytes", config),
		"image-redirected":             at(root, "resource web-image", pearChart, webImage),
		"nested-component-replaced":    at(mid, "", "69f7a6deb903f44585159fee60ce93d9b05a7603f222cd430ddeea7b63e18eea", "886ee9d6c7fb9a5f87862e007f5303a4b3fcd902926b23dc9f83d2adc2a00f45"),
		"nested-two-deep-blob-swapped": at(leaf, "", "1582be34a866c0ce16210fb7f448b465afd05d2a5c9503b1cb26b7bc1814121d", "0285c37e887529665f106cbf6ec593fd4c3652270601f496362f8fb2b5725162"),
		"name-mismatch":                at(mid, "", "vectors.example/orchard/leaf:1.0.0", "vectors.example/orchard/mid:2.1.0-rc.1"),
		"duplicate-signature-name":     at(root, "signature "+Signature, "", ""),
		"descriptor-changed":           ofOrchard("1bfa0ce41baa5e2c779777a40b37df70c14534c0a393c1d553b8bac44cd83808"),
		"reference-label-changed":      ofOrchard("d304bacae05197d457b38c8047e625b8ca0497a1b90139cb7ee91976587c0228"),
		"resource-access-none":         ofOrchard("1c5ae7db2e204a4b8eaa325673044b1b2137af46137cbf6197dfd4b5d8a0509c"),
		"resource-digest-removed":      ofOrchard("1c5ae7db2e204a4b8eaa325673044b1b2137af46137cbf6197dfd4b5d8a0509c"),
		"resource-excluded":            ofOrchard("516500e2d8eac35ecb0d34a225ad65de1a0ac4aefdabeb2fc385f5030ee499b4"),
	},
	"negative-new": {
		"access-redirected":            at(root, "resource config", evil, config),
		"blob-content-swapped":         at(root, "resource config", "11 bytes", config),
		"image-redirected":             at(root, "resource web-image", pearChart, webImage),
		"nested-component-replaced":    at(mid, "", "34d4bd5a8bbdaf55616901f44405a5918d54665ea6b73879c67646b22352ca68", "90b6323d3b4a848f66ff45a0b3ab60d8898f45d0729f1a84955a79791b58aeb5"),
		"nested-two-deep-blob-swapped": at(leaf, "", "1a01bbd2c955aae8a965b86f861c26625d71416a01de310321a4595c9b24d4c5", "c421b867a5d8ded234ceeb9aeb7f65ac30e4ed8032694e8981d4bee5da5ae117"),
		"name-mismatch":                at(mid, "", "vectors.example/grove/leaf:1.0.0", "vectors.example/grove/mid:2.1.0-rc.1"),
		"duplicate-signature-name":     at(root, "signature "+Signature, "", ""),
		"descriptor-changed":           ofGrove("0c63974910c04faea9c8760af74cd6a78b5834144c628ac451c222c58b68fb22"),
		"reference-label-changed":      ofGrove("1cab2aa8ac9c3b0776f455633e86412b7070e3e4457d1f2cd141fa4123a5965a"),
		"resource-access-none":         ofGrove("626da1739fa3e3b8a28f9f24a25c0850ebdd3cfb0bce8bd49e64acd9ce6e6c35"),
		"resource-digest-removed":      ofGrove("626da1739fa3e3b8a28f9f24a25c0850ebdd3cfb0bce8bd49e64acd9ce6e6c35"),
		"resource-excluded":            ofGrove("897022971199c10aedde1c26f96c42ee1f8a5e09b26dd455add8cdf8c29eafde"),
	},
}

func at(path []string, element, found, wanted string) Fault {
	return Fault{Path: path, Element: element, Found: found, Wanted: wanted}
}

// ofOrchard and ofGrove are of a root whose digest is not what was signed.
func ofOrchard(found string) Fault {
	return at(root, "signature "+Signature, found, "1bb3d95c36531a42c108c11710a92bdec14b028b216e1aec9e8a3bd92dc30ee4")
}

func ofGrove(found string) Fault {
	return at(root, "signature "+Signature, found, "9eb8d79f4311326a341f011358cc545f4c0fbe6f929a66866079bf2fd4924868")
}
