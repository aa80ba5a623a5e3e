// Package adopttest tests hack/adopt.sh without a cluster: a kubectl that keeps its objects in a file refuses and fails as told.
// How the script does with Flux and the chart is tested in e2e/adopt. It holds no code of the operator.
package adopttest
