// Package yamledit sets values in YAML and JSON files and leaves every other byte as it was:
// comments, order, quoting, indentation, anchors, line ends and the other documents of a file.
//
// An edit finds the bytes of the value in the text, replaces just those, and then parses the
// result and compares it with what the edit should have given. An edit that cannot be proven right in that
// way is an error; the text is never written anew from its parsed form.
//
// Documents: an edit that does not name its document, by index or by selector, goes to the first one in which
// all of its path is there. If there is none, the value is new: it goes to the first document with the
// parent of the path, or else to the one with the most of it. Every document that is looked into
// has to be readable, as it might be the one.
//
// Aliases: an edit of an anchored value shows wherever its alias is used, as in YAML itself. A path that
// leads through an alias, or through a merge key, is an error, because the edit would change
// another place than the one that was named. A path that ends at an alias replaces the alias.
package yamledit
