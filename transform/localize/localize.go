// Package localize turns localization rules into substitutions: it puts the image references that a
// component has, where it lies now, into the files that use the images.
//
// Which image reference a resource has is the business of a Resolver.
package localize

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
	"github.com/ocm-operator/ocm-operator/transform"
	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

// ErrMapping says that a rule has a mapping and nobody can evaluate it.
var ErrMapping = errors.New("mappings are switched off; use registry, repository, fullyQualifiedRepository, image or tag")

// Resolver returns the image of a resource of the component. See ParseImage and ParsePinned.
type Resolver func(ctx context.Context, name string, extraIdentity map[string]string) (Image, error)

// Mapper returns the value that the program of a mapping computes from the component.
type Mapper func(ctx context.Context, program string) (any, error)

// Substitutions returns what the rules put where, in the order of the rules and within a rule in the
// order registry, repository, fullyQualifiedRepository, image, tag. A rule with a mapping puts
// nothing but what that computes. Errors name the rule, counted from 1, and wrap those of resolve and
// compute. A nil compute makes every mapping an error.
func Substitutions(ctx context.Context, rules []configv1.LocalizationRule, resolve Resolver, compute Mapper) ([]transform.Substitution, error) {
	var subs []transform.Substitution
	for i, rule := range rules {
		title := fmt.Sprintf("localization rule %d", i+1)
		if rule.Mapping != nil {
			sub, err := mapped(ctx, title, rule, compute)
			if err != nil {
				return nil, err
			}
			subs = append(subs, sub)
			continue
		}
		image, err := resolve(ctx, rule.Resource.Name, rule.Resource.ExtraIdentity)
		if err != nil {
			return nil, fmt.Errorf("%s: resource %q: %w", title, rule.Resource.Name, err)
		}
		subs = append(subs, substitutions(title, rule, image)...)
	}
	return subs, nil
}

func mapped(ctx context.Context, title string, rule configv1.LocalizationRule, compute Mapper) (transform.Substitution, error) {
	sub := transform.Substitution{
		Rule: title, File: rule.File, Path: rule.Mapping.Path,
		Document: rule.Document, Selector: (*yamledit.Selector)(rule.Selector),
	}
	err := ErrMapping
	if compute != nil {
		sub.Value, err = compute(ctx, rule.Mapping.Transform)
	}
	if err != nil {
		return sub, &transform.RuleError{Rule: sub.Rule, File: sub.File, Path: sub.Path, Err: err}
	}
	return sub, nil
}

func substitutions(title string, rule configv1.LocalizationRule, image Image) []transform.Substitution {
	var subs []transform.Substitution
	for _, part := range []struct{ path, value string }{
		{rule.Registry, image.Registry},
		{rule.Repository, image.Repository},
		{rule.FullyQualifiedRepository, image.Registry + "/" + image.Repository},
		{rule.Image, image.String()},
		{rule.Tag, image.Tag},
	} {
		if part.path == "" {
			continue
		}
		subs = append(subs, transform.Substitution{
			Rule: title, File: rule.File, Path: part.path, Value: part.value,
			Document: rule.Document, Selector: (*yamledit.Selector)(rule.Selector),
		})
	}
	return subs
}

// Image is an image reference in its parts.
type Image struct {
	// Registry is the host, with its port if there is one.
	Registry string
	// Repository is the path without the host.
	Repository string
	// Tag is the tag, the digest, or, for a pinned image, both as in tag@digest.
	Tag string
}

// String returns the full, normalised reference.
func (i Image) String() string {
	separator := ":"
	if strings.Contains(i.Tag, ":") && !strings.Contains(i.Tag, "@") {
		separator = "@"
	}
	return i.Registry + "/" + i.Repository + separator + i.Tag
}

// ParseImage parses an image reference with the defaults of Docker: a reference without a host is one
// of index.docker.io, one without a tag has the tag latest. Of a tag and a digest, only the
// digest is kept.
func ParseImage(reference string) (Image, error) {
	if strings.Contains(reference, "://") {
		return Image{}, fmt.Errorf("image reference %q: it must not have a scheme", reference)
	}
	parsed, err := name.ParseReference(reference, name.WeakValidation)
	if err != nil {
		return Image{}, fmt.Errorf("image reference %q: %w", reference, err)
	}
	repository := parsed.Context()
	return Image{Registry: repository.RegistryStr(), Repository: repository.RepositoryStr(), Tag: parsed.Identifier()}, nil
}

// ParsePinned is like ParseImage for a reference that has to have a digest. A tag beside it is kept: for those who read it,
// while whoever pulls the image goes by the digest.
func ParsePinned(reference string) (Image, error) {
	image, err := ParseImage(reference)
	if err != nil {
		return Image{}, err
	}
	before, _, pinned := strings.Cut(reference, "@")
	if !pinned {
		return Image{}, fmt.Errorf("image reference %q: it is not pinned by a digest", reference)
	}
	if _, tag, tagged := strings.Cut(before[strings.LastIndex(before, "/")+1:], ":"); tagged {
		image.Tag = tag + "@" + image.Tag
	}
	return image, nil
}
