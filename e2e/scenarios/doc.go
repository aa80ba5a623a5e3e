// Package scenarios follows the guides of the documentation as a user does: it publishes the components that they
// describe, applies their manifests with kubectl, and looks at what arrives. It has no code of its own.
package scenarios
