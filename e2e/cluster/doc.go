// Package cluster runs a real Kubernetes control plane, and Flux's controllers beside it, as plain processes on the
// loopback interface: no containers, no nodes, no downloads. It serves the end-to-end tests and the demo. Pods are never
// started; package nodes adds what runs them.
//
// A cluster lives in a folder: keys, database, logs, a kubeconfig file, and state.json with the processes that belong
// to it. Start runs it as children of the calling process, Up in the background; Down ends either.
package cluster
