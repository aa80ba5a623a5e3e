// Package kustomizecontroller pins Flux's kustomize-controller and everything it needs, so that the end-to-end tests and the demo can build that
// controller from Go modules where its image can't be pulled. The module has no code of its own.
package kustomizecontroller
