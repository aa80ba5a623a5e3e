//go:build !linux

package nodes

import "errors"

// readRoutes is not called elsewhere, as there are no nodes.
func readRoutes() ([]route, error) {
	return nil, errors.New("only Linux is asked for its routes")
}
