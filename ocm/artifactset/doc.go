// Package artifactset reads and writes OCI artifacts that are packed into an
// archive: the artifact sets component versions hold as local blobs, and OCI image
// layouts, which are read only.
//
// Read takes one thing out of an archive, which is read as a stream, up to three
// times, and never held in memory or on disk. Unpack is for whoever needs all of
// it. Whatever is taken from it, the archive is read to its end, so that its own
// digest is compared as well.
package artifactset
