package oci

import "context"

// Turn waits until nobody else who takes turns writes a tag, and returns what ends
// the turn, which must be called. Registries have no request that compares and writes
// at once: whoever looks at a tag to decide what it may lead to does so in a turn. The
// turns of one tag are taken by all clients that have a Memory and a connection in
// common, or by those who use one client. The error is the cause of the context's end.
func (r *Repository) Turn(ctx context.Context, tag string) (end func(), err error) {
	return r.turns.Take(ctx, turnKey{connection: r.connection, address: r.url("manifests", tag)})
}

// turnKey names a tag, and who says what it leads to.
type turnKey struct{ connection, address string }
