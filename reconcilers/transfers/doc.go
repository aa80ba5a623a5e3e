// Package transfers runs the copies of component versions that reconcilers ask for, apart from the reconciliations: a copy
// takes as long as it takes, and an object is only looked at in passing.
//
// A reconciler asks the [Pool] for what its object needs, again and again, and is told how far that has come. The first question
// begins the work and the last one gets its outcome, which is told once. In between, the object is woken when there is something new.
// What nobody wants any more, because its object is gone, suspended or wants something else, is cancelled.
//
// A bounded number of copies is made at once. Those between the same two hosts have a bound of their own, and those of one host, or of
// one namespace, never take all of the room, so that a slow registry keeps nobody waiting but those who use it. It knows nothing of
// registries: what is copied, and how, is the business of who asks.
package transfers
