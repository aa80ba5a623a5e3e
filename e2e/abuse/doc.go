// Package abuse gives the API server and the operator objects that nobody should write, and everybody does sometimes.
// Each is either refused when it is written, or has a condition that says what is wrong with it; both say what to do.
package abuse
