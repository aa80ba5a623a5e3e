// Package rbac proves that the rights that the chart grants are those that the operator needs: every set of features starts with
// its own, the chart grants what the end-to-end tests run with, none of them can be taken away, and whatever a feature brings it
// uses itself.
package rbac
