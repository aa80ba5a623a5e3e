package rbac_test

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// publish publishes a version of the component that the objects are about.
func publish(t *testing.T, registry *ocmtest.Server, version string) {
	t.Helper()
	files, err := ocmtest.Tar(ocmtest.File{
		Name: "configmap.yaml", Content: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {version: \"" + version + "\", message: none}\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	chart, err := ocmtest.Tar(ocmtest.File{Name: "app/Chart.yaml", Content: []byte("apiVersion: v2\nname: app\nversion: " + version + "\n")})
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := writer.Write(chart); err != nil || writer.Close() != nil {
		t.Fatalf("pack a chart: %v", err)
	}
	rules := "apiVersion: config.ocm.software/v1alpha1\nkind: ConfigData\nconfiguration:\n  defaults: {message: default}\n" +
		"  rules:\n  - {value: (( message )), file: configmap.yaml, path: data.message}\n"
	component := ocmtest.Component{Name: "acme.org/app", Version: version, Resources: []ocmtest.Resource{
		{Name: "manifests", Type: "directory", MediaType: "application/x-tar", Content: files},
		{Name: "chart", Type: "helmChart", MediaType: "application/vnd.cncf.helm.chart.content.v1.tar+gzip", Content: packed.Bytes()},
		{Name: "config", Type: "PlainText", MediaType: "application/yaml", Content: []byte(rules)},
	}}
	if _, err := component.Publish(t.Context(), registry.URL+"/acme", ocm.Options{}); err != nil {
		t.Fatal(err)
	}
}

// documents joins objects to one text.
func documents(parts ...string) string { return strings.Join(parts, "---") }

// puller is who pulls components.
const puller = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: puller}
`

const componentVersion = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata: {name: app}
spec:
  interval: 10m
  component: acme.org/app
  version: {semver: ">=0.0.0"}
  repository: {url: "${REPOSITORY}/acme"}
  serviceAccountName: puller
`

const manifests = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata: {name: app}
spec:
  interval: 10m
  sourceRef: {name: app, resourceRef: {name: manifests}}
`

const chart = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata: {name: chart}
spec:
  interval: 10m
  sourceRef: {name: app, resourceRef: {name: chart}}
`

// lost has no content, and is what an earlier controller has left.
const lost = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Snapshot
metadata: {name: lost, finalizers: [finalizers.snapshot.ocm.software]}
spec: {identity: {component-name: acme.org}, digest: none, tag: 1.0.0}
`

// site are values.
const site = `
apiVersion: v1
kind: ConfigMap
metadata: {name: site}
data: {values.yaml: "message: hello"}
`

// cloud is by what a cloud is logged in at. Nothing listens where that leads to.
const cloud = `
apiVersion: v1
kind: Secret
metadata: {name: proxy}
stringData: {address: "http://127.0.0.1:1"}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: cloud
  annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::123456789012:role/reader"}
`

const cloudVersion = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata: {name: cloud}
spec:
  interval: 10m
  component: acme.org/app
  version: {semver: ">=0.0.0"}
  repository: {url: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/acme, provider: aws, proxySecretRef: {name: proxy}}
  serviceAccountName: cloud
`

const subscription = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentSubscription
metadata: {name: app}
spec:
  interval: 10m
  component: acme.org/app
  semver: ">=1.0.0"
  source: {url: "${REPOSITORY}/acme"}
  destination: {url: "${REPOSITORY}/copy"}
`

const cloudSubscription = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentSubscription
metadata: {name: cloud}
spec:
  interval: 10m
  component: acme.org/app
  semver: ">=1.0.0"
  source: {url: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/acme, provider: aws, proxySecretRef: {name: proxy}}
  serviceAccountName: cloud
`

const localization = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Localization
metadata: {name: app}
spec:
  interval: 10m
  sourceRef: {kind: Resource, name: app}
  configRef: {kind: ComponentVersion, name: app, resourceRef: {name: config}}
  valuesFrom: {configMapSource: {sourceRef: {name: site}, key: values.yaml}}
`

const configuration = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Configuration
metadata: {name: app}
spec:
  interval: 10m
  sourceRef: {kind: Localization, name: app}
  configRef: {kind: ComponentVersion, name: app, resourceRef: {name: config}}
  valuesFrom: {configMapSource: {sourceRef: {name: site}, key: values.yaml}}
`

// deployers are of all three forms.
const deployers = `
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata: {name: app}
spec:
  interval: 10m
  sourceRef: {kind: Configuration, name: app}
  kustomizationTemplate: {path: ./, prune: true}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata: {name: plain}
spec:
  interval: 10m
  sourceRef: {kind: Resource, name: app}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata: {name: chart}
spec:
  interval: 10m
  sourceRef: {kind: Resource, name: chart}
  helmReleaseTemplate: {interval: 10m}
`

// gitSync proposes what it pushes.
const gitSync = `
apiVersion: v1
kind: Secret
metadata: {name: git}
stringData: {username: nobody, password: nothing}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: GitSync
metadata: {name: app}
spec:
  interval: 10m
  sourceRef: {kind: Resource, name: app}
  repository: {url: "${GIT}/acme/fleet.git", provider: gitea, secretRef: {name: git}}
  commitTemplate: {name: nobody, email: nobody@acme.org}
  automaticPullRequestCreation: true
`

var (
	// pipeline is what is needed for a Snapshot.
	pipeline = documents(puller, componentVersion, manifests)
	// objects are of every kind, and refer to everything that objects can refer to.
	objects = documents(pipeline, chart, site, cloud, cloudVersion, subscription, cloudSubscription, localization, configuration, deployers, gitSync)
)
