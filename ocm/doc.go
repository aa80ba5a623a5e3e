// Package ocm reads and writes component versions in OCI registries and in
// transport archives.
//
// A Repository is a place component versions are stored in. A ComponentVersion
// is one that was read; the digest of its manifest pins it, and every byte
// reached through it is compared with the digests it states. The package does
// not verify signatures and does not transfer component versions.
package ocm
