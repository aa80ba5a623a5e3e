// Package helmcontroller pins the API of Flux's helm-controller and the generator that makes a custom resource definition of it, so that the API
// server of a test knows a HelmRelease as clusters do. The controller itself can't be had as a Go module. The module has no code of its own.
package helmcontroller
