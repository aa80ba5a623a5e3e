# Builds the image of the operator: one static binary, no shell, no root. `hack/image` builds the same without docker and without a
# base image; that is what releases publish.
#
# Several platforms: docker buildx build --platform linux/amd64,linux/arm64 ... (make image PLATFORMS=...). The build itself always runs
# on the machine's own platform. With SOURCE_DATE_EPOCH and rewrite-timestamp=true the result depends on nothing but the sources and the base.
#
# BASE may be `scratch`: the binary needs nothing of a base image but the certificate authorities, and those are here.
ARG BASE=gcr.io/distroless/static-debian12:nonroot

# The release of Go that go.mod names: another one writes other bytes.
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
# Modules first: they change less often than the code and stay in the layer cache.
COPY go.mod go.sum ./
RUN go mod download
COPY hack/image/roots hack/image/roots
RUN go -C hack/image/roots run . >/ca-certificates.crt
COPY . .
ARG TARGETOS=linux
ARG TARGETARCH
ARG VERSION=v0.0.0-dev
ARG COMMIT=unknown
ARG DATE=unknown
RUN GOOS=${TARGETOS} GOARCH=${TARGETARCH} VERSION=${VERSION} COMMIT=${COMMIT} DATE=${DATE} hack/build.sh /ocm-operator

FROM ${BASE}
ARG VERSION=v0.0.0-dev
ARG COMMIT=unknown
ARG DATE=unknown
LABEL org.opencontainers.image.title="ocm-operator" \
      org.opencontainers.image.description="Delivers OCM component versions to Kubernetes through Flux" \
      org.opencontainers.image.source="https://github.com/ocm-operator/ocm-operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.created="${DATE}"
COPY --from=build /ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /ocm-operator /ocm-operator
# By number, so that Kubernetes can prove that it is not root.
USER 65532:65532
ENTRYPOINT ["/ocm-operator"]
