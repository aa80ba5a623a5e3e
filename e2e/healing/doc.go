// Package healing holds the end-to-end tests of what the operator does about content that its registry has lost, or has no
// room for: files that are damaged or gone, an index that is none any more, a node that was replaced, and a registry that is
// full. Somebody pulls all the time meanwhile, and never gets a wrong byte; in the end everything is as it was, by itself.
package healing
