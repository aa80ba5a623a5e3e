// Package transfers runs the copies of component versions that reconcilers ask for, apart from the reconciliations: a copy
// takes as long as it takes, and an object is only looked at in passing.
//
// A reconciler asks the [Pool] for what its object needs, again and again, and is told how far that has come. The first question
// begins the work and the last one gets its outcome, which is told once. In between, the object is woken when there is something new.
// What nobody wants any more, because its object is gone, suspended or wants something else, is cancelled.
//
// A bounded number of copies is made at once. Those between the same two hosts have a bound of their own, and those of one host, or of
// one namespace, never take all of the room. Nor does any number of slow ones: a copy that has run for five minutes makes room when
// somebody waits for its place. It goes on among others that have run for long, for which there are as many places again, with the same
// bounds; so at most twice as many run in all. If those are taken, too, it is cut off and takes turns with its like, each time for twice
// as long, up to a day: what was sent is not sent again, and a large blob comes through in the end. So a slow registry keeps nobody
// waiting but those who use it, for longer than the five minutes that every copy has until it is known to last. Copies of one namespace
// between the same two hosts don't make room for each other, and nothing does for those who wait for an archive that it writes.
//
// The package knows nothing of registries: what is copied, and how, is the business of who asks.
package transfers
