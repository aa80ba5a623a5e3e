// Package replica lets several processes serve one registry. One of them leads: it writes. The others serve what they have.
//
// A Replica stands in front of the local store, as the Interceptor of a registry.Handler, so a request is authorized before
// it comes here. While this replica leads, it does nothing. While another one does, a read by digest is answered from the
// local store; what is missing there is fetched from the leader by its digest, compared with it, stored, and then served. All
// else goes to the leader as it is: writes, and reads of what can change, like tags and lists.
//
// Nothing that is not here is called missing unless the replica that leads has said so. Without an answer of the leader the
// client is told to try again.
//
// Mirror copies an artifact before anybody asks for it. Who leads, and what is worth a copy, is for the caller to know; the
// package knows nothing of Kubernetes.
package replica
