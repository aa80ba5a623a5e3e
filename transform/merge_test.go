package transform_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/transform"
	"github.com/ocm-operator/ocm-operator/transform/patch"
)

const (
	siteDeployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
spec:
  replicas: 1
  template:
    spec:
      containers:
        - name: app
          imagePullPolicy: IfNotPresent
        - name: proxy
`
	componentDeployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
spec:
  replicas: 2
  template:
    spec:
      containers:
        - name: app
          imagePullPolicy: Always
`
)

func TestMerge(t *testing.T) {
	t.Parallel()
	src := pack(t, map[string]string{"deploy/app.yaml": componentDeployment, "README.md": "text"})
	var dst bytes.Buffer
	merger := transform.Merger{Rule: "patchStrategicMerge", File: "./deploy/app.yaml", Base: []byte(siteDeployment)}
	stats, err := transform.Merge(t.Context(), &dst, bytes.NewReader(src), merger, transform.Limits{})
	if err != nil || stats.Edited != 1 {
		t.Fatalf("want one merged file, got %+v, error %v", stats, err)
	}
	want := map[string]string{
		"deploy/app.yaml": strings.NewReplacer("replicas: 1", "replicas: 2", "IfNotPresent", "Always").Replace(siteDeployment),
		"README.md":       "text",
	}
	if diff := cmp.Diff(want, unpack(t, dst.Bytes())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMergeFails(t *testing.T) {
	t.Parallel()
	src := pack(t, map[string]string{"deploy/app.yaml": componentDeployment})
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, tc := range map[string]struct {
		ctx  context.Context
		src  string
		file string
		base string
		is   error
		want string
	}{
		"missing":    {t.Context(), string(src), "app.yml", "", transform.ErrNoFile, `patch: file "app.yml": not a regular file in the source; it holds: deploy/app.yaml`},
		"folder":     {t.Context(), string(src), "app.yaml", "", transform.ErrNoFile, `where it is "deploy/app.yaml": name the file with its folder`},
		"outside":    {t.Context(), string(src), "../a", "", nil, "must be a path within the source"},
		"other base": {t.Context(), string(src), "deploy/app.yaml", "apiVersion: v1\nkind: A\nmetadata: {name: b}\n", patch.ErrNoTarget, `patch: file "deploy/app.yaml": patch, line 1, Deployment "app": the base has no such object`},
		"no archive": {t.Context(), "text", "deploy/app.yaml", "", archive.ErrNotArchive, "no tar archive"},
		"stopped":    {stopped, string(src), "deploy/app.yaml", siteDeployment, context.Canceled, "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			merger := transform.Merger{Rule: "patch", File: tc.file, Base: []byte(tc.base)}
			_, err := transform.Merge(tc.ctx, io.Discard, strings.NewReader(tc.src), merger, transform.Limits{})
			if err == nil || !strings.Contains(err.Error(), tc.want) || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("want an error with %q, got %v", tc.want, err)
			}
		})
	}
}
