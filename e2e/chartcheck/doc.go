// Package chartcheck holds the chart of the operator against what a cluster accepts: the tests that lie in the chart are run,
// every scenario of charts/ocm-operator/ci is rendered, compared with the schemas of a real API server and applied to it without
// being stored, pods are held against the profile "restricted", and the schema of the values against typos. Nothing is installed:
// no pod runs here.
package chartcheck
