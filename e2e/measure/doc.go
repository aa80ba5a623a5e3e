// Package measure is what the programs share that measure registries and clients of registries beside each other: servers
// that are processes of their own, contestants that take turns so that whatever else the machine does hits all alike,
// and tables in documents. What is measured is for the programs to say.
package measure
