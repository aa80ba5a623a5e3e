// Package helm pins the helm command and everything it needs, so that tests can show that charts which the operator has
// changed are charts still. The module has no code of its own.
package helm
