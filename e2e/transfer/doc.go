// Package transfer copies component versions between registries of different makes, each a process of its own, and transport
// archives, and proves afterwards that nothing of them has changed: signatures hold, canonical texts and everything else that
// describes content are equal, images are the same to the byte with all platforms, and nothing leads back to where they came
// from. It holds tests only.
package transfer
