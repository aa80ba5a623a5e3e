// Command chartgen writes what in the chart can be derived: the schema of its values and the table of its README from the
// comments of values.yaml, the templates of custom resource definitions from apis/crds, and annotations of Chart.yaml. It does
// not render the chart, and writes nothing unless all of it can be derived.
//
// The comment that ends above a key, without an empty line between, is read as
//
//	# -- What it is for, in sentences. They may go on
//	# in further lines.
//	# @schema {type: string, enum: [debug, info]}
//	level: info
//
// The type of a key is that of its default; what @schema says is merged into it. A key whose default says too little, as {}, []
// and null do, needs one. A mapping whose @schema has additionalProperties is free: its keys need no comments. Every other
// mapping has the keys of values.yaml and no more. "# @section Title" begins a section of the README's table.
package main
