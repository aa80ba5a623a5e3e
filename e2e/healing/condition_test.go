package healing

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// withoutCondition wants a condition to be gone.
func withoutCondition(conditionType string) e2etest.Check {
	return func(obj *unstructured.Unstructured) error {
		if c, err := e2etest.Condition(obj, conditionType); err == nil {
			return fmt.Errorf("%s is %s: %s", c.Type, c.Status, c.Message)
		}
		return nil
	}
}
