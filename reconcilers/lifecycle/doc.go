// Package lifecycle owns what every reconciler of this operator has in common: getting the object, deletion, finalizers,
// suspension, running the steps of a kind, summarising their outcome in conditions, one status write, events, requeueing
// and metrics.
//
// A kind is a list of named steps over a small run struct. A step returns an error and nothing else:
//
//   - nil: go on with the next step,
//   - [Wait]: something else must happen first; the last verdict stands meanwhile,
//   - [Fail]: a verdict against the object; asked again after its retry interval,
//   - [Stall]: a verdict that only the user can change,
//   - [Hinder]: a verdict that passes by itself; asked again with backoff,
//   - any other error: a passing fault, retried with backoff; the last verdict stands meanwhile. [Retry] names its reason.
//
// "The last verdict stands" means that an object that was Ready at its current generation stays Ready, with the reason for
// the delay in the condition Reconciling. What was delivered is still good while its source can't be reached.
package lifecycle
