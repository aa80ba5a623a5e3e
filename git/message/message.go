// Package message writes what people read of a git sync: the messages of commits, and titles and texts of pull requests. It also
// finds the container images that manifests name, so that a text can say which of them change.
//
// Templates come from users, and values from components; neither is trusted. Templates are bounded in what they can compute and in
// what they can print. Values can neither start a line of their own, nor a mention, a reference or a keyword that closes issues,
// nor formatting. The same input gives the same text.
package message

import "errors"

// Origin is one component version that the content came from.
type Origin struct {
	// Namespace and Name are those of the ComponentVersion object.
	Namespace, Name string
	// Version is the version of the component.
	Version string
	// Verified tells whether it was verified.
	Verified bool
}

// Data is what templates know.
type Data struct {
	// Component and Version are the component that the content came from, and its version.
	Component, Version string
	// Resource and ResourceVersion are the resource of the component, and its version.
	Resource, ResourceVersion string
	// Digest is the digest of the content.
	Digest string
	// Verified tells whether all component versions that the content came from were verified.
	Verified bool
	// Origins are those component versions.
	Origins []Origin
	// SubPath is the folder of the repository that the content is in.
	SubPath string
	// Namespace and Name are those of the GitSync object.
	Namespace, Name string
	// Branch is the branch that is pushed to, and Base the branch that it is built upon.
	Branch, Base string
}

// Trailer is a line at the end of a commit message that programs read.
type Trailer struct {
	// Key is its name, such as Ocm-Version.
	Key string
	// Value is what it says; a trailer without a value is left out.
	Value string
}

// Changes are the files that differ. The lists may be shorter than the truth, and Total is the truth.
type Changes struct {
	// Added, Modified and Removed are paths.
	Added, Modified, Removed []string
	// Total is how many files differ.
	Total int
}

// ImageChange is a container image that manifests name instead of another.
type ImageChange struct {
	// From and To are the images before and after; an empty one is none.
	From, To string
	// Path is the file that names them.
	Path string
}

// Report is what the text of a pull request says besides what Data says.
type Report struct {
	// Signatures are the names of the signatures that were verified.
	Signatures []string
	// Changes are the files that change.
	Changes Changes
	// Images are the images that change.
	Images []ImageChange
}

// TemplateError is about a template of a user that cannot be used; trying again does not help.
type TemplateError struct {
	// What is the template: message, title or description.
	What string
	// Err is the reason.
	Err error
}

// Error implements error.
func (e *TemplateError) Error() string { return "template of the " + e.What + ": " + e.Err.Error() }

// Unwrap makes errors.Is see the reason.
func (e *TemplateError) Unwrap() error { return e.Err }

// errEmpty is about templates that give nothing.
var errEmpty = errors.New("it gives no text: let it print something for each version")
