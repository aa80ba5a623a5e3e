package transfer

import (
	"context"
	"errors"
	"io"

	"github.com/ocm-operator/ocm-operator/ocm/access"
)

// spools are contents in temporary files.
type spools struct{}

func (s *spools) close() {}

func (r *run) stream(context.Context, *element) error { return errors.New("not yet") }

func (r *run) packed(_ context.Context, e *element, p *access.Place) error { return e.keep(p) }

var _ io.Reader
