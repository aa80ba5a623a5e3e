// Command soak pushes, pulls, deletes and collects in a registry for as long as it is told to, and kills it with SIGKILL every
// few seconds. Afterwards everything that the registry has acknowledged has to be there to the byte, and nothing else may be
// left on the disk.
//
// The registry is a process of its own, with the store, the handler, the certificates and the collector of the operator. What
// has been acknowledged is remembered in the process that asks, so that no mistake of the registry can make it forget. Some of
// the repositories are managed, as those of snapshots are: there nothing but what the collector is told keeps content. In the
// others tags do.
package main
