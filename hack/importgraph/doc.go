// Package importgraph holds the test that keeps the walls of the architecture: it asks the go command who imports whom and
// fails, with the reason, where a package reaches over a wall. It holds no code of the operator.
package importgraph
