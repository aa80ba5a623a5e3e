// Package descriptor models component descriptors of the Open Component Model.
//
// It reads and writes schema v2 and ocm.software/v3alpha1, checks the parts
// every later step relies on and finds elements by their identity. It knows
// nothing about where descriptors are stored, how they are signed, or how the
// content they describe is fetched.
package descriptor
