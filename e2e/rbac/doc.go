// Package rbac proves that the rights that the chart grants are those that the operator needs: every set of features starts with
// its own, the chart grants what the end-to-end tests run with, and none of them can be taken away.
package rbac
