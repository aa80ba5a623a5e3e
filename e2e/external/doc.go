// Package external tests the operator with snapshots in registries that others have written: a whole pipeline with the
// controllers of Flux, which pull from there.
package external
