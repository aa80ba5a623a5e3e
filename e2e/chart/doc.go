// Package chart holds the tests that install the chart of the operator as its users do: Helm puts it on a cluster with nodes and
// real containers, Flux is installed there, too, and what is delivered runs in pods and answers. README.md says what is run, and how.
package chart
