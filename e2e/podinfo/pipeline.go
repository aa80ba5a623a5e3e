package podinfo

// Pipeline delivers the manifests of the newest version as they are. ${REPOSITORY} is where the component is, and ${NAMESPACE}
// where its objects go.
const Pipeline = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata:
  name: podinfo
spec:
  interval: 10m0s
  component: phoban.io/podinfo
  version: {semver: ">=0.0.0"}
  repository: {url: "${REPOSITORY}"}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata:
  name: podinfo
spec:
  interval: 10m0s
  sourceRef: {name: podinfo, resourceRef: {name: manifests}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata:
  name: podinfo
spec:
  interval: 10m0s
  sourceRef: {kind: Resource, name: podinfo}
  kustomizationTemplate: {path: ./, prune: true, targetNamespace: "${NAMESPACE}"}
`
