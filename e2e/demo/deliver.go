package main

import (
	"context"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// manifests are what the demo applies: YAML to read as documentation.
//
//go:embed manifests/*.yaml
var manifests embed.FS

const (
	// message is what manifests/4-configuration.yaml sets.
	message        = "Hello from the demo!"
	deliverTimeout = 2 * time.Minute
	tablePoll      = 100 * time.Millisecond
)

// sample returns what a version of the demo's component is made of.
func sample(s *state, version string) podinfo.Options {
	return podinfo.Options{Version: version, ImageRegistry: s.repository()}
}

// publish signs a version and publishes it, after tamper has changed it if that is not nil.
func publish(ctx context.Context, s *state, version string, tamper tampering) error {
	signer, _, err := readKey(s.SigningKey)
	if err != nil {
		return err
	}
	o := sample(s, version)
	o.Signatures, o.Tamper = []ocmtest.Signature{{Name: signature, Signer: signer}}, tamper
	return podinfo.Publish(ctx, s.repository(), o, ocm.Options{UserAgent: "ocm-operator-demo"})
}

// apply applies the manifests in the order of their names, and returns how many objects that were.
func apply(ctx context.Context, c client.Client, s *state) (int, error) {
	names, err := fs.Glob(manifests, "manifests/*.yaml")
	if err != nil {
		return 0, fmt.Errorf("list the manifests: %w", err)
	}
	_, public, err := readKey(s.SigningKey)
	if err != nil {
		return 0, err
	}
	count := 0
	for _, name := range names {
		raw, err := manifests.ReadFile(name)
		if err != nil {
			return count, fmt.Errorf("read the manifests: %w", err)
		}
		text := strings.NewReplacer("${REPOSITORY}", s.repository(), "${FLEET}", s.fleetURL(), "${PUBLIC_KEY}", base64.StdEncoding.EncodeToString(public)).Replace(string(raw))
		decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
		for {
			obj := &unstructured.Unstructured{}
			err := decoder.Decode(obj)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return count, fmt.Errorf("read %s: %w", name, err)
			}
			if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner("demo"), client.ForceOwnership); err != nil {
				return count, fmt.Errorf("apply %s %s of %s: %w", obj.GetKind(), obj.GetName(), name, err)
			}
			count++
		}
	}
	return count, nil
}

// follow shows the table until a version has arrived: every object is ready, and what was applied is that version's. The
// rows are brought up to date.
func follow(ctx context.Context, out *screen, c client.Client, s *state, rows []row, version string, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	out.table(rows, nil, since)
	ticker := time.NewTicker(tablePoll)
	defer ticker.Stop()
	for {
		var changed []int
		settled := true
		for i, before := range rows {
			after, err := before.refresh(ctx, c)
			if err != nil {
				return err
			}
			if after.text() != before.text() {
				changed = append(changed, i)
			}
			rows[i] = after
			settled = settled && after.settled(version)
		}
		if len(changed) > 0 {
			out.table(rows, changed, since)
		}
		missing := check(ctx, c, s, version)
		if settled && missing == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("version %s has not arrived: %w", version, errors.Join(context.Cause(ctx), missing))
		case <-ticker.C:
		}
	}
}

// check compares what Flux has applied with what it must be.
func check(ctx context.Context, c client.Client, s *state, version string) error {
	found, err := applied(ctx, c)
	if err != nil {
		return err
	}
	image, err := sample(s, version).PinnedImage()
	if err != nil {
		return err
	}
	want := delivered{image: image, message: message, version: version, backend: version}
	if *found != want {
		return fmt.Errorf("applied is %+v, want %+v", *found, want)
	}
	return nil
}

// delivered is the part of what was applied that tells whether everything worked.
type delivered struct {
	image   string // of the Deployment
	message string // of the ConfigMap
	version string // of the ConfigMap's configuration
	backend string // version of the backend
}

// show prints it.
func (d *delivered) show(out *screen) {
	out.result("Deployment", "podinfo", "image", shortened(d.image))
	out.result("ConfigMap", "podinfo", "message", d.message)
	out.result("ConfigMap", "podinfo-backend", "version", d.backend)
}

func applied(ctx context.Context, c client.Client) (*delivered, error) {
	deployment, config, backend := &appsv1.Deployment{}, &corev1.ConfigMap{}, &corev1.ConfigMap{}
	for name, obj := range map[string]client.Object{"podinfo": config, "podinfo-backend": backend} {
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, obj); err != nil {
			return nil, fmt.Errorf("get ConfigMap %s: %w", name, err)
		}
	}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "podinfo"}, deployment); err != nil {
		return nil, fmt.Errorf("get Deployment podinfo: %w", err)
	}
	return &delivered{
		image:   deployment.Spec.Template.Spec.Containers[0].Image,
		message: config.Data["PODINFO_UI_MESSAGE"],
		version: config.Data["configuredVersion"],
		backend: backend.Data["version"],
	}, nil
}
