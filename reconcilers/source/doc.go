// Package source finds what an object's references lead to, and makes sure that all of it belongs together.
//
// An object uses its source's current content: the source must be Ready, its snapshot present, and everything that one
// object combines must come from the same version of each component. A chain of objects therefore moves from version to
// version in its order, however its members are woken.
//
// The package also keeps the indexes and watches by which a change wakes the objects that refer to what changed.
package source
