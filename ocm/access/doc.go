// Package access reads the content of resources, wherever their access
// specification says it is.
//
// An access specification is not signed, so it only says where to look; what is
// found there must have the digest the resource states. Kinds this package does
// not support are an error when, and only when, such a resource is read.
package access
