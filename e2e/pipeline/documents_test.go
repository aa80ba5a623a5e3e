package pipeline_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// documented is the first example of the documentation. Only the URL differs.
const documented = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata:
  name: podinfo
  namespace: ${NAMESPACE}
spec:
  interval: 10m0s
  component: phoban.io/podinfo
  repository:
    url: ${REPOSITORY}
  version:
    semver: ">=6.3.x"
`

// descriptorName is the name that users of the example know.
const descriptorName = "phoban.io-podinfo-6.3.6-10372358058082697739"

func TestWhatKubectlShowsIsDocumented(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "6.3.5")
	publish(t, registry, "6.3.6")
	e.Apply(documented, "${REPOSITORY}", repository(registry))
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready)

	for _, args := range [][]string{{"get", "componentversion"}, {"get", "cv"}, {"get", "cv", "podinfo"}} {
		expectLines(t, e.Kubectl(args...), `NAME +READY +VERSION +AGE +STATUS`, `podinfo +True +6\.3\.6 +\d+s +Applied version: 6\.3\.6`)
	}
	expectLines(t, e.Kubectl("describe", "componentversion", "podinfo"),
		`Name: +podinfo`, `API Version: +delivery\.ocm\.software/v1alpha1`, `Kind: +ComponentVersion`,
		`  Component Descriptor:`, `    Component Descriptor Ref:`, `      Name: +`+descriptorName, `      Namespace: +`+e.Namespace,
		`    Name: +phoban\.io/podinfo`, `    Version: +6\.3\.6`,
		`    Message: +Applied version: 6\.3\.6`, `    Observed Generation: +1`, `    Reason: +Succeeded`, `    Status: +True`, `    Type: +Ready`,
		`  Observed Generation: +1`, `  Reconciled Version: +6\.3\.6`,
	)
	// Events are written after the status, and in the background.
	e.Eventually("events", func() error {
		if err := lines(e.Kubectl("describe", "componentversion", "podinfo"), `  Type +Reason +Age +From +Message`,
			`  Normal +Progressing +\d+s +ocm-controller +Version check succeeded, found latest version: 6\.3\.6`,
			`  Normal +Succeeded +\d+s +ocm-controller +Reconciliation finished, next run in 10m0s`); err != nil {
			return err
		}
		return lines(e.Kubectl("events", "--for", "ComponentVersion/podinfo"),
			`\d+s +Normal +Progressing +ComponentVersion/podinfo +Version check succeeded, found latest version: 6\.3\.6`,
			`\d+s +Normal +Succeeded +ComponentVersion/podinfo +Reconciliation finished, next run in 10m0s`)
	})
	e.Eventually("the log", func() error {
		name := regexp.QuoteMeta(`"name": "podinfo", "namespace": "` + e.Namespace + `"`)
		return lines(e.Log(),
			`.*INFO.*Version check succeeded, found latest version: 6\.3\.6.*`+name+`.*"reason": "Progressing".*`,
			`.*INFO.*Reconciliation finished, next run in 10m0s.*`+name+`.*"reason": "Succeeded".*`)
	})
}

func TestComponentDescriptorIsDocumented(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "6.3.6")
	e.Apply(documented, "${REPOSITORY}", repository(registry))
	cv := e.Wait("ComponentVersion", "podinfo", e2etest.Ready)

	name := e.Kubectl("get", "cv", "podinfo", "-ojsonpath={.status.componentDescriptor.componentDescriptorRef.name}")
	if name != descriptorName {
		t.Fatalf("componentDescriptorRef.name is %s, want %s", name, descriptorName)
	}
	descriptor := &v1alpha1.ComponentDescriptor{}
	if err := yaml.UnmarshalStrict([]byte(e.Kubectl("get", "componentdescriptor", "-oyaml", name)), descriptor); err != nil {
		t.Fatal(err)
	}
	if len(descriptor.OwnerReferences) != 1 || descriptor.OwnerReferences[0].UID != cv.GetUID() || descriptor.OwnerReferences[0].Kind != "ComponentVersion" {
		t.Errorf("owners are %+v, want the ComponentVersion", descriptor.OwnerReferences)
	}
	if descriptor.Spec.Version != "6.3.6" {
		t.Errorf("spec.version is %q, want 6.3.6", descriptor.Spec.Version)
	}
	type resource struct{ relation, resourceType, version, access string }
	want := map[string]resource{
		"manifests": {"local", "Directory", "6.3.6", "localBlob"},
		"config":    {"local", "PlainText", "6.3.6", "localBlob"},
		"image":     {"external", "ociImage", "6.3.6", "ociArtifact"},
	}
	for _, r := range descriptor.Spec.Resources {
		if got := (resource{r.Relation, r.Type, r.Version, r.Access.Type}); got != want[r.Name] {
			t.Errorf("resource %s is %+v, want %+v", r.Name, got, want[r.Name])
		}
		delete(want, r.Name)
		if r.Name == "image" && !strings.Contains(string(r.Access.Raw), imageRegistry+"/podinfo:6.3.6") {
			t.Errorf("access of the image is %s", r.Access.Raw)
		}
	}
	if len(want) > 0 {
		t.Errorf("these resources are missing: %v", want)
	}
}

func expectLines(t *testing.T, text string, patterns ...string) {
	t.Helper()
	if err := lines(text, patterns...); err != nil {
		t.Error(err)
	}
}

// lines checks that a text has a line for each pattern.
func lines(text string, patterns ...string) error {
	for _, pattern := range patterns {
		if !regexp.MustCompile(`(?m)^` + pattern + ` *$`).MatchString(text) {
			return fmt.Errorf("no line is like %s in\n%s", pattern, text)
		}
	}
	return nil
}
