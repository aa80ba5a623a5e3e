package main

import (
	_ "github.com/fluxcd/pkg/auth"
	_ "github.com/fluxcd/pkg/auth/aws"
	_ "github.com/fluxcd/pkg/auth/azure"
	_ "github.com/fluxcd/pkg/auth/gcp"
	_ "github.com/fluxcd/pkg/auth/generic"
	_ "github.com/fluxcd/pkg/auth/utils"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/sync/semaphore"
	_ "golang.org/x/sync/singleflight"
)
