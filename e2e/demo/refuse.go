package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// tampering changes a component version after it was signed.
type tampering func(d *descriptor.Descriptor, blobs ocmtest.Blobs) error

// redirect puts other manifests into a version and leads to them. Where content lies is not signed, so the signature
// holds: what gives it away is that the content is not what was signed.
func redirect(d *descriptor.Descriptor, blobs ocmtest.Blobs) error {
	for i := range d.Component.Resources {
		resource := &d.Component.Resources[i]
		if resource.Name != "manifests" {
			continue
		}
		good, err := resource.Digest.OCI()
		if err != nil {
			return err
		}
		// As many bytes, or the archive would end within a file.
		evil := bytes.ReplaceAll(blobs[good], []byte("not configured"), []byte("up to no good!"))
		blobs[digest.FromBytes(evil)] = evil
		resource.Access, err = access.NewLocalBlob(digest.FromBytes(evil), "application/x-tar")
		return err
	}
	return errors.New("there are no manifests to replace")
}

// refuse publishes a version that was tampered with, and shows that nothing becomes of it.
func refuse(ctx context.Context, out *screen, c client.Client, s *state) error {
	out.step("Publish %s: the signature of %q, and the files of somebody else", forgedVersion, signature)
	before, err := applied(ctx, c)
	if err != nil {
		return err
	}
	since := time.Now()
	if err := publish(ctx, s, forgedVersion, redirect); err != nil {
		return err
	}
	event, err := refusal(ctx, c, forgedVersion)
	if err != nil {
		return err
	}
	took := time.Since(since)
	row, err := pipeline()[0].refresh(ctx, c)
	if err != nil {
		return err
	}
	if !row.settled(secondVersion) {
		return fmt.Errorf("the ComponentVersion is at %s and ready %s, want it to stay ready at %s", row.version, row.ready, secondVersion)
	}
	after, err := applied(ctx, c)
	if err != nil {
		return err
	}
	if *after != *before {
		return fmt.Errorf("applied is %+v, want that nothing has changed since %+v", *after, *before)
	}
	out.line("%s  from publishing to refused", out.bold(fmt.Sprintf("%.1fs", took.Seconds())))
	out.blank()
	out.line("%s %s", event.Type, event.Reason)
	out.wrapped(shortened(event.Message))
	out.blank()
	out.result("ComponentVersion", "podinfo", "ready", row.ready+", "+row.about)
	after.show(out)
	return nil
}

// refusal waits for the event that tells why a version is not used.
func refusal(ctx context.Context, c client.Client, version string) (*corev1.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	ticker := time.NewTicker(tablePoll)
	defer ticker.Stop()
	for {
		events := &corev1.EventList{}
		err := c.List(ctx, events, client.InNamespace(namespace), client.MatchingFields{"involvedObject.name": "podinfo", "reason": v1alpha1.ComponentVerificationFailedReason})
		if err != nil {
			return nil, fmt.Errorf("list events: %w", err)
		}
		for i := range events.Items {
			if strings.Contains(events.Items[i].Message, version) {
				return &events.Items[i], nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s %s was not refused: %w", podinfo.Name, version, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// verified returns the signature that was checked on the version in use.
func verified(ctx context.Context, c client.Client) (*v1alpha1.VerifiedSignature, error) {
	obj := &v1alpha1.ComponentVersion{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "podinfo"}, obj); err != nil {
		return nil, fmt.Errorf("get ComponentVersion podinfo: %w", err)
	}
	if !obj.Status.Verified || len(obj.Status.Signatures) != 1 {
		return nil, fmt.Errorf("version %s was not verified, its signatures are %v", obj.Status.ReconciledVersion, obj.Status.Signatures)
	}
	return &obj.Status.Signatures[0], nil
}

var longDigest = regexp.MustCompile(`(sha256:[0-9a-f]{12})[0-9a-f]{52}`)

// shortened cuts digests to what a person compares.
func shortened(text string) string { return longDigest.ReplaceAllString(text, "$1…") }
