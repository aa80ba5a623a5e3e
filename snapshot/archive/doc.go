// Package archive streams tar archives into one canonical, deterministic form.
//
// The same tree gives the same bytes wherever it came from: owners, times and extended headers are
// dropped, modes are 0644 or 0755, paths are normalised, the compression is fixed.
// Everything that could write outside of the place where the archive is unpacked is refused, and
// so is every archive that is larger, deeper or denser than its Limits. Only files that an
// Editor asks for are held in memory; the rest streams.
package archive
