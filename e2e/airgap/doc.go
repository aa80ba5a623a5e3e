// Package airgap carries components to a cluster that reaches no registry but its own: a connected operator exports them to an
// archive, a file is copied, and another operator, in another cluster, imports them into the embedded registry, from which they are
// deployed. The objects are those of the guide. It holds tests only.
package airgap
