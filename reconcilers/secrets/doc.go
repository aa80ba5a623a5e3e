// Package secrets tells objects that a Secret which they refer to has changed, without the right to list or to watch Secrets: that would be
// the right to read all of them.
//
// A Lookout knows from the objects themselves which Secrets these are, and from what is read for them which ones the ServiceAccounts among
// their references pull with. It looks at the metadata of each by name, again and again, and wakes who refers to one that is not what it was.
// Between two looks nothing is missed: whoever reads a Secret reads it through the Lookout, which thereby knows by which state of it the
// reader decides. Contents are never kept, and neither is anything about a Secret that nobody refers to.
//
// Where the operator may watch Secrets that have a label, those wake at once, and are not looked at.
package secrets
