// Package modes tests ways to run the operator other than the usual one: without TLS, and as two replicas.
package modes
