// Package artifactset reads OCI artifacts that are packed into an archive: the
// artifact sets component versions hold as local blobs, and OCI image layouts.
//
// An archive is read as a stream, up to three times, and never held in memory
// or on disk. Whatever is taken from it, the archive is read to its end, so
// that its own digest is compared as well. It writes no archives.
package artifactset
