// Package v1alpha1 reads ConfigData: the file in a component that says how its resources are localized and configured (config.ocm.software/v1alpha1).
//
// It reads strictly, because a misspelt rule that is silently left out ships the wrong image: everything but the metadata must be known, and an error names the
// line. What the rules mean, and whether a path or an expression in them is valid, is not decided here.
package v1alpha1
