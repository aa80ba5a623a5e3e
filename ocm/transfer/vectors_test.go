package transfer_test

import (
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// TestSignedVectors transfers everything that the reference tools signed.
func TestSignedVectors(t *testing.T) {
	t.Parallel()
	o := withImages(t)
	for _, s := range vectors.AllSigned() {
		t.Run(strings.ReplaceAll(s.Place, "/", " "), func(t *testing.T) {
			t.Parallel()
			url, _ := vectors.Serve(t, s.Place)
			target := open(t, ocmtest.Start(t).URL+"/mirror", o)
			result, err := transfer.Run(t.Context(), open(t, url, o), target, s.Component, s.Version, transfer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", result)
		})
	}
}
