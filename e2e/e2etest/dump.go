package e2etest

import (
	"context"
	"strings"
	"time"
)

const (
	dumpTimeout = time.Minute
	// maxLogLines is how many lines of the operator's log a failure shows: the last ones, without those about other namespaces.
	maxLogLines = 120
)

// dumped are the kinds whose objects a failure shows.
var dumped = []string{
	"componentversions", "componentdescriptors", "resources.delivery.ocm.software", "localizations", "configurations", "snapshots",
	"fluxdeployers", "componentsubscriptions", "gitsyncs", "ocirepositories", "gitrepositories", "kustomizations",
}

// dump shows what is worth reading when the test has failed.
func (e *Env) dump() {
	if !e.tb.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.tb.Context()), dumpTimeout)
	defer cancel()
	for _, kind := range dumped {
		out, err := e.kubectl(ctx, "get", kind, "-o", `jsonpath={range .items[*]}{.kind}/{.metadata.name} generation {.metadata.generation}: spec {.spec} status {.status}{"\n"}{end}`)
		if err != nil && strings.Contains(out, "doesn't have a resource type") {
			continue // a cluster without Flux
		}
		if err != nil {
			e.tb.Logf("show %s: %v: %s", kind, err, out)
			continue
		}
		if out != "" {
			e.tb.Log(strings.TrimSpace(out))
		}
	}
	if events, err := e.kubectl(ctx, "events"); err == nil {
		e.tb.Log(events)
	}
	var lines []string
	log, err := e.log(ctx)
	if err != nil {
		e.tb.Logf("read the operator's log: %v", err)
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, e.Namespace) || !strings.Contains(line, `"namespace":`) {
			lines = append(lines, line)
		}
	}
	lines = lines[max(0, len(lines)-maxLogLines):]
	e.tb.Logf("the end of the operator's log without other namespaces than %s:\n%s", e.Namespace, strings.Join(lines, ""))
}
