//go:build !linux

package cuemap_test

// asOperator is a variable that is never set: elsewhere nothing ends a process together with another.
const asOperator = ""

func operate(string) error { return nil }
