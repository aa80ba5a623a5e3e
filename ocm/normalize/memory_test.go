package normalize_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/hack/benchtest"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
)

// TestMemory holds that the value of a label, which nobody has signed yet when
// its form is made, takes a few times its size only. It is not parallel, because
// it would see what other tests need.
func TestMemory(t *testing.T) {
	const size, most = 1 << 20, 16 << 20
	var members strings.Builder
	for i := 0; members.Len() < size; i++ {
		fmt.Fprintf(&members, `,"%x":{}`, i*7919%1_000_003)
	}
	values := map[string]string{
		"objects": "[0" + strings.Repeat(`,{"a":{}}`, size/9) + "]",
		"members": `{"z":0` + members.String() + "}",
		"levels":  strings.Repeat(`{"a":`, 50) + `"` + strings.Repeat("<", size/6) + `"` + strings.Repeat("}", 50),
	}
	for name, value := range values {
		d := minimal(func(c *descriptor.Component) {
			c.Labels = []descriptor.Label{{Name: "l", Signing: true, Value: json.RawMessage(value)}}
		})
		for _, algorithm := range []string{normalize.V1, normalize.V3} {
			var err error
			held := benchtest.Live(func() { _, err = normalize.Digest(d, descriptor.SHA256, algorithm) })
			if err != nil || held > most {
				t.Errorf("%s, %s: %d MiB were alive, want at most %d; %v", name, algorithm, held>>20, most>>20, err)
			}
			t.Logf("%s, %s: %d KiB", name, algorithm, held>>10)
		}
	}
}
