// Package schematest checks the CustomResourceDefinitions of the operator with the API server's own code: that they are accepted, and which manifests they accept.
//
// It is a module of its own, because that code brings the dependencies of an API server, which the operator must not have. It has nothing but tests.
package schematest
