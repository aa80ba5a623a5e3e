// Package oci talks to OCI registries on behalf of package ocm.
//
// It computes the digest of everything it reads from the bytes it got, bounds
// what it accepts, and hands credentials only to the host they are for. It
// knows how a component version is laid out in a registry, but nothing about
// what its resources mean.
package oci
