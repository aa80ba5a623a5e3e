// Package ctf keeps component versions, and any OCI artifact, in the common
// transport format: a directory, a tar archive or a compressed tar archive with
// an index and a flat folder of blobs.
//
// A directory is changed in place, blobs before the index that leads to them. An
// archive is read where it is, or unpacked into a temporary file without a name
// if it is compressed, and replaced as a whole when it is closed. So nobody sees
// half of a change, and whoever is killed in the middle of one leaves what was
// there before. Several writers may use a directory; of an archive there is one
// at a time.
//
// An archive may lack blobs, if it was written for somebody who has them. The
// package does not know what the artifacts mean.
package ctf
