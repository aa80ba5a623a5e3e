// Package tree turns the content of a snapshot into git trees, and puts them into the tree of a repository.
//
// Build takes a tar archive from a stream and Single one file; both write blobs and trees to a pack.Writer as they go and
// refuse whatever could harm whoever checks the tree out: names that lead elsewhere, names that some file system takes for
// .git, links that leave the tree, kinds of files that git has not, and more of anything than Limits allow. Nothing is ever
// written to a work tree, so neither a .gitignore, nor attributes, nor a link that is already there has a say.
//
// Graft puts such a tree below a folder of an existing one and leaves everything else as it is: contents, names
// and modes, of which only a zero before the first digit is lost, as early programs wrote it. At and Diff look.
package tree
