package shop

// deployment and configMap are what is deployed, with the version filled in.
const (
	deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  selector:
    matchLabels:
      app: shop
  template:
    metadata:
      labels:
        app: shop
    spec:
      containers:
        - name: web
          image: shop-of-nobody
`
	configMap = `apiVersion: v1
kind: ConfigMap
metadata:
  name: shop
data:
  version: ${VERSION}
`
	// rules put the image of the component into the Deployment.
	rules = `apiVersion: config.ocm.software/v1alpha1
kind: ConfigData
metadata:
  name: shop
localization:
  - resource:
      name: web
    file: deployment.yaml
    image: spec.template.spec.containers[0].image
`
)
