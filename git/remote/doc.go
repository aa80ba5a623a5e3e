// Package remote speaks with one git repository over smart HTTP or SSH: it lists branches, fetches a single commit
// without its history into a private folder that is bounded in size, and pushes a pack with one command that the server
// compares and swaps.
//
// It has no working copy, no configuration and no state beyond its folder: nothing that a server or a commit says can
// send a later request, or a credential, anywhere else. The host of the URL is the only one that is spoken to, and what
// it sends is bounded in size, in number, and by the context of the call.
//
// Messages are written and read here, and not by the transports of go-git: those hold a whole pack in memory, read what a
// server says without a bound, and for SSH consult files and agents of the machine.
package remote
