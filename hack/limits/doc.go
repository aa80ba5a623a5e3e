// Package limits measures what the machine can do at best, as benchmarks: hashing, moving bytes over loopback, writing
// to disk. Other benchmarks are read as a share of these numbers. It holds no code of the operator.
package limits
