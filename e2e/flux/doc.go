// Package flux holds the tests of what happens between the operator and the controllers of Flux: how content is handed over
// when their feature gates differ. The package has no code of its own.
package flux
