// Package reconcilertest is a cluster in memory for the tests of reconcilers: a fake client that counts writes and keeps
// generations and identities as the API server does, a manager into which the features of the operator are installed as they
// are in production, an embedded registry in a temporary folder, and short constructors for the objects of this project.
//
// Nothing runs by itself: a test says which object is reconciled when, and reads what came of it.
package reconcilertest
