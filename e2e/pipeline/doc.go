// Package pipeline tests the operator from end to end, as its users see it: a real API server, Flux and kubectl, the
// operator as a process, and components in a real OCI registry. It has no code of its own.
package pipeline
