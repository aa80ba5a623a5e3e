// Package ocmtest makes component versions out of a few lines of Go, signs and
// publishes them into a registry, and provides a registry in memory that counts
// requests and fails on demand. It is for tests and demonstrations.
package ocmtest
