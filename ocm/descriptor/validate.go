package descriptor

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/Masterminds/semver/v3"
)

// maxNameLength is what the format allows for the name of a component.
const maxNameLength = 255

var (
	componentName = regexp.MustCompile(`^[a-z][-a-z0-9]*([.][a-z][-a-z0-9]*)*[.][a-z]{2,}(/[a-z][-a-z0-9_]*([.][a-z][-a-z0-9_]*)*)+$`)
	elementName   = regexp.MustCompile(`^[a-z0-9]([-_+a-z0-9]*[a-z0-9])?$`)
	// identityKey allows upper case, which the format does not: components with a key such as chartVersion are published.
	identityKey  = regexp.MustCompile(`^[a-zA-Z0-9]([-_+a-zA-Z0-9]*[a-zA-Z0-9])?$`)
	labelVersion = regexp.MustCompile(`^v\d+$`)
)

// CheckName reports what is wrong with the name of a component.
func CheckName(name string) error {
	if len(name) > maxNameLength {
		return fmt.Errorf("component name of %d characters is too long, at most %d are allowed", len(name), maxNameLength)
	}
	if !componentName.MatchString(name) {
		return fmt.Errorf("component name %q is not a DNS domain followed by at least one path segment, as in acme.org/shop", name)
	}
	return nil
}

// CheckVersion reports what is wrong with the version of a component.
func CheckVersion(version string) error {
	if _, err := semver.NewVersion(version); err != nil {
		return fmt.Errorf("component version %q is no semantic version such as 1.2.3 or v1.2: %w", version, err)
	}
	return nil
}

// checkIdentity is what Parse insists on; it is lenient about the elements,
// because one odd element must not hide the others.
func (d *Descriptor) checkIdentity() error {
	c := &d.Component
	if err := CheckName(c.Name); err != nil {
		return fmt.Errorf("component descriptor: %w", err)
	}
	if err := CheckVersion(c.Version); err != nil {
		return fmt.Errorf("component descriptor of %s: %w", c.Name, err)
	}
	return nil
}

// Validate checks the descriptor against the rules of the format and reports
// everything that is wrong.
func (d *Descriptor) Validate() error {
	if err := d.checkIdentity(); err != nil {
		return err
	}
	c := &d.Component
	var errs []error
	if c.Provider.Name == "" {
		errs = append(errs, errors.New("provider has no name"))
	}
	if c.CreationTime != "" {
		if _, err := time.Parse(time.RFC3339, c.CreationTime); err != nil {
			errs = append(errs, fmt.Errorf("creationTime %q is no RFC 3339 time", c.CreationTime))
		}
	}
	errs = append(errs, checkLabels("component", c.Labels)...)
	errs = append(errs, checkElements("resource", len(c.Resources), func(i int) *Element { return &c.Resources[i].Element })...)
	errs = append(errs, checkElements("source", len(c.Sources), func(i int) *Element { return &c.Sources[i].Element })...)
	errs = append(errs, checkElements("reference", len(c.References), func(i int) *Element { return &c.References[i].Element })...)
	errs = append(errs, d.checkResources()...)
	errs = append(errs, d.checkReferences()...)
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("component descriptor of %s:%s: %w", c.Name, c.Version, errors.Join(errs...))
}

func checkElements(kind string, n int, at func(int) *Element) []error {
	var errs []error
	seen := make(map[string]bool, n)
	for i := range n {
		e := at(i)
		if !elementName.MatchString(e.Name) {
			errs = append(errs, fmt.Errorf("%s %d: name %q does not match %s", kind, i, e.Name, elementName))
		}
		for k := range e.ExtraIdentity {
			if len(k) < 2 || !identityKey.MatchString(k) {
				errs = append(errs, fmt.Errorf("%s %s: key %q of extraIdentity does not match %s", kind, e, k, identityKey))
			}
		}
		if id := e.String(); seen[id] {
			errs = append(errs, fmt.Errorf("%s %s occurs twice, tell them apart by extraIdentity", kind, id))
		} else {
			seen[id] = true
		}
		errs = append(errs, checkLabels(kind+" "+e.Name, e.Labels)...)
	}
	return errs
}

func checkLabels(where string, labels []Label) []error {
	var errs []error
	seen := make(map[string]bool, len(labels))
	for _, l := range labels {
		switch {
		case l.Name == "":
			errs = append(errs, fmt.Errorf("%s has a label without a name", where))
		case seen[l.Name]:
			errs = append(errs, fmt.Errorf("%s has the label %q twice", where, l.Name))
		case l.Version != "" && !labelVersion.MatchString(l.Version):
			errs = append(errs, fmt.Errorf("%s: version %q of label %q is not of the form v1", where, l.Version, l.Name))
		}
		seen[l.Name] = true
	}
	return errs
}

func (d *Descriptor) checkResources() []error {
	var errs []error
	for i := range d.Component.Resources {
		r := &d.Component.Resources[i]
		if r.Type == "" {
			errs = append(errs, fmt.Errorf("resource %s has no type", &r.Element))
		}
		if r.Version == "" {
			errs = append(errs, fmt.Errorf("resource %s has no version", &r.Element))
		}
		if r.Relation != "" && r.Relation != LocalRelation && r.Relation != ExternalRelation {
			errs = append(errs, fmt.Errorf("resource %s: relation %q is neither %s nor %s", &r.Element, r.Relation, LocalRelation, ExternalRelation))
		}
		if r.Access.Type == "" {
			errs = append(errs, fmt.Errorf("resource %s has no access", &r.Element))
		}
		if r.Digest != nil && !r.Digest.Excluded() {
			if _, err := r.Digest.OCI(); err != nil {
				errs = append(errs, fmt.Errorf("resource %s: %w", &r.Element, err))
			}
		}
	}
	return errs
}

func (d *Descriptor) checkReferences() []error {
	var errs []error
	for i := range d.Component.References {
		r := &d.Component.References[i]
		if err := CheckName(r.ComponentName); err != nil {
			errs = append(errs, fmt.Errorf("reference %s: %w", &r.Element, err))
		}
		if err := CheckVersion(r.Version); err != nil {
			errs = append(errs, fmt.Errorf("reference %s: %w", &r.Element, err))
		}
	}
	return errs
}
