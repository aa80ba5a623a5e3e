// Package access opens the component repositories that objects name, with the credentials that their namespaces
// hold, and remembers what was read by digest.
//
// Who logs in, and how a registry is connected to, comes from Secrets and ServiceAccounts of the namespace, or from the cloud
// that the operator runs in. Each repository of an object has its own, also where source and destination are at one host, and
// none goes to a host that the spec doesn't name for it. Objects that connect alike share connections. Which hosts a component
// may lead to, and whether web servers are among them, is decided once for the whole operator.
//
// Secrets are read when they are needed and are never cached. What was read from a repository is remembered under its
// address and the credentials it was read with, so nobody gets content through this memory that its own credentials would
// not give. The same holds for what was verified: equal verifications are one, and a proof is remembered for a version that is
// pinned, the keys it was checked with, and the repository with its credentials.
//
// Objects of any kind that ask the same repository, with the same credentials, for the versions of a component or for what a
// tag leads to share answers (see Freshness). What holds for that:
//
//   - An object that was created, changed or asked to reconcile gets the answer to a question that was asked since. So does one
//     that is not settled, give or take two seconds.
//   - Any other object gets an answer that is younger than its interval. At its usual time it doesn't get the one that it has.
//     So a repository is asked once in the shortest interval of the objects, less the jitter of intervals, however many they are.
//   - When a question has another answer than before, all objects that have the former are woken at once.
//   - When nobody has asked again by the time at which an answer is as old as the interval of an object that got it late, such
//     objects are woken, one each second, until one of them asks. So what is new is known to each object, at the latest, a
//     second after it would have asked by itself, plus the time that the answer and the queue take; and one more second for each
//     object that is woken and has gone.
//   - Errors are for those who wait for the same answer. Others ask themselves.
//   - Memory is bounded. An object that finds no room asks for itself, and one that is forgotten while it relies on being woken
//     is woken right then.
//   - Kinds without a source that wakes them share nothing that is older than their question.
//
// All requests to a host have one budget, whoever sends them; a host that wants to be left alone is, for a minute at most at a
// time.
package access
