// Package pack writes git pack files while their objects arrive.
//
// A Writer puts each object into one file as soon as it is there, compressed and hashed while it streams, so what it needs
// of memory follows from the number of objects and not from their size. It writes no deltas and nothing twice, and leaves
// out what the other side is known to have. It reads back only what it has written itself; packs of others are not its matter.
package pack
