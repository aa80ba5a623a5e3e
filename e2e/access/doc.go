// Package access proves with a real Flux who gets at the content of the embedded registry and who doesn't, and that nobody who
// does notices when certificates and keys are rotated.
package access
