// Package adopt tests how the operator takes the place of the controllers before it: in a cluster with Flux, with the objects and
// the registry as those left them, by hack/adopt.sh. What runs there must not notice. It also tests how a StatefulSet of the operator
// takes the place of another one around its pods, when these are to get larger volumes.
package adopt
