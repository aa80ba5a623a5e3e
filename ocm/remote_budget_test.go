package ocm_test

import (
	"sync/atomic"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestWebAccessBudget sends to web servers within the budget that registries have, redirects included.
func TestWebAccessBudget(t *testing.T) {
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry.URL, shopVersion("1.0.0"))
	other := serveWeb(t, false, map[string]string{"/file": "other file"})
	site := serveWeb(t, false, map[string]string{
		"/moved":      "redirect:" + other.URL + "/file",
		"/index.yaml": index(chartOf("1.0.0", "web-1.tgz", "chart 1")),
		"/web-1.tgz":  "chart 1",
	})
	var onSite, onOther atomic.Int64
	budget := oci.NewBudget(oci.BudgetOptions{Answered: func(host, _ string, _ int) {
		switch "http://" + host {
		case site.URL:
			onSite.Add(1)
		case other.URL:
			onOther.Add(1)
		}
	}})
	cv, err := open(t, registry.URL, ocm.Options{Allow: []string{"helm", "wget"}, Budget: budget}).Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[any]string{
		access.Helm{Type: "helm", Repository: site.URL, Chart: "web:1.0.0"}: "chart 1",
		struct {
			Type string `json:"type"`
			URL  string `json:"url"`
		}{"wget", site.URL + "/moved"}: "other file",
	} {
		got, err := contentOf(t, cv, build(t, ocmtest.Resource{Access: accessOf(t, what)}))
		outcome(t, got, err, want, nil)
	}
	if onSite.Load() != 3 || onOther.Load() != 1 {
		t.Errorf("the budget saw %d and %d requests, want 3 and 1", onSite.Load(), onOther.Load())
	}
}
