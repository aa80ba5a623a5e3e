package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the driver of the configuration below
	"github.com/sirupsen/logrus"
)

// settings are the example that distribution gives its users, with files and a cache of descriptors in memory. Only what
// it logs is less: neither requests nor each authorized one.
const settings = `
version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: %s
  tag:
    concurrencylimit: 8
  delete:
    enabled: %t
http:
  addr: %s
  secret: one process has nobody to share it with
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
`

func distribution(ctx context.Context, o options) (http.Handler, error) {
	logrus.SetLevel(logrus.ErrorLevel)
	text := fmt.Sprintf(settings, strconv.Quote(o.dir), o.deletion, strconv.Quote(o.listen))
	config, err := configuration.Parse(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("configure it: %w", err)
	}
	app := handlers.NewApp(context.WithoutCancel(ctx), config)
	app.RegisterHealthChecks()
	return app, nil
}
