package gitsync

import "context"

func (c *controller) propose(ctx context.Context, r *run) error { return nil }
