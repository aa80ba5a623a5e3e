// Package e2etest is what the end-to-end tests share: a cluster with the operator running in it as a process, YAML that
// is applied as a user would, conditions that are waited for, and everything worth reading when a test has failed.
//
// The package of the tests needs a TestMain that calls clustertest.Main with the options of the cluster.
package e2etest
