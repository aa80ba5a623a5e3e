// Package operator builds the operator and runs it as a plain process against a cluster of package cluster: with real
// flags, its own registry on loopback with TLS, and a log file. It serves the end-to-end tests and the demo.
package operator
