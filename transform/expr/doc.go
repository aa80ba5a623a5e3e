// Package expr evaluates the (( )) expressions of configuration rules.
//
// A text that is one expression, "(( replicas ))", becomes the value of the expression and keeps
// its type. A text with expressions in it, "x-(( name ))-y", becomes text. "((! name ))" is the
// literal text "(( name ))". Maps and lists are searched for such texts; keys of maps are not.
//
// From the loosest to the tightest, the operators are
//
//	a || b     if a is not there        a // b    if a is not there or nil
//	a ? b : c  choice
//	a b        concatenation of texts, lists or maps
//	-and -or   logic, bitwise on two integers
//	== != < <= > >=
//	+ -
//	* / %
//	!a         negation
//
// Operands are references (a.b.c, .a, a.[0], a.[name]), literals ("text", 1, 1.5, true, nil, ~,
// [a, b], {"key" = a}), expressions in parentheses and calls of join, split, trim, replace,
// length, format, base64, base64_decode, asjson and defined.
//
// The language has no means to reach files, the environment, the network, randomness or other
// programs, and every evaluation is bounded in steps, depth and size of what it builds.
package expr
