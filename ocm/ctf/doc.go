// Package ctf keeps component versions, and any OCI artifact, in the common
// transport format: a directory, a tar archive or a compressed tar archive with
// an index and a flat folder of blobs.
//
// A directory is changed in place. An archive is read where it is, or unpacked
// into a temporary file without a name if it is compressed, and written anew
// when it is closed. One writer at a time may use a directory or an archive.
// The package does not know what the artifacts mean.
package ctf
