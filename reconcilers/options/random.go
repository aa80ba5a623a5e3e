package options

import "math/rand"

// sharedSource is a source of random numbers for all workers at once. A source of a generator's own, which Flux's jitter
// makes when it is given none, must not be used by two at the same time.
type sharedSource struct{}

// Int63 implements rand.Source.
func (sharedSource) Int63() int64 { return rand.Int63() } //nolint:gosec // intervals are no secret

// Uint64 implements rand.Source64.
func (sharedSource) Uint64() uint64 { return rand.Uint64() } //nolint:gosec // intervals are no secret

// Seed implements rand.Source. The source of the runtime is seeded already.
func (sharedSource) Seed(int64) {}

func newRandom() *rand.Rand { return rand.New(sharedSource{}) } //nolint:gosec // intervals are no secret
