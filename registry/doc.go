// Package registry is an OCI registry that lives inside another program: the HTTP API of the
// distribution specification 1.1 over a store.Store, with an auth.Authorizer in front.
//
// NewHandler gives the API as a http.Handler, Server runs it, Metrics counts what it does. What
// is kept and for how long is the store's, who may do what the authorizer's. The package knows
// nothing of snapshots, components or Kubernetes.
package registry
