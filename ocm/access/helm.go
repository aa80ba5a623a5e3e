package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.yaml.in/yaml/v3"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// indexFile is the name of the index of a chart repository.
const indexFile = "index.yaml"

// Helm is a chart in a chart repository.
type Helm struct {
	Type       string `json:"type"`
	Repository string `json:"helmRepository"`
	// Chart is the name of the chart and its version, separated by a colon.
	Chart   string `json:"helmChart"`
	Version string `json:"version,omitempty"`
	CACert  string `json:"caCert,omitempty"`
	Keyring string `json:"keyring,omitempty"`
}

// chartName is what Helm accepts as name of a chart. It may have a path in a
// registry.
var chartName = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_.]*(/[A-Za-z0-9][-A-Za-z0-9_.]*)*$`)

// NameAndVersion returns the name of the chart and its version.
func (h *Helm) NameAndVersion() (name, version string, err error) {
	name, version, _ = strings.Cut(h.Chart, ":")
	if version == "" {
		version = h.Version
	}
	switch {
	case !chartName.MatchString(name):
		return "", "", fmt.Errorf("helmChart %q has no name of a chart", h.Chart)
	case version == "":
		return "", "", fmt.Errorf("helmChart %q has no version", h.Chart)
	case h.Version != "" && h.Version != version:
		return "", "", fmt.Errorf("helmChart %q has another version than %q beside it", h.Chart, h.Version)
	}
	return name, version, nil
}

// chart is where a chart is.
type chart struct {
	Helm

	name, version string
	// ref is set if the chart is in a registry, and has a host then.
	ref oci.Reference
}

// chartOf reads the access of a chart, which has to be allowed.
func (s *Source) chartOf(res *descriptor.Resource) (*chart, error) {
	var c chart
	if err := decode(res.Access, &c.Helm); err != nil {
		return nil, err
	}
	var err error
	if c.name, c.version, err = c.NameAndVersion(); err != nil {
		return nil, malformed(err)
	}
	registry, ok := strings.CutPrefix(c.Repository, "oci://")
	if !ok {
		return &c, s.Remote.check(KindHelm)
	}
	// Helm's own way to write versions with build metadata as tags.
	tag := strings.ReplaceAll(c.version, "+", "_")
	c.ref, err = s.parse(strings.TrimRight(registry, "/") + "/" + c.name + ":" + tag)
	return &c, err
}

func (s *Source) openHelm(ctx context.Context, res *descriptor.Resource) (*Blob, error) {
	c, err := s.chartOf(res)
	if err != nil {
		return nil, err
	}
	if c.ref.Host != "" {
		return s.openRegistryChart(ctx, res, c.ref)
	}
	blob, err := s.openChart(ctx, res, c)
	if err != nil {
		return nil, fmt.Errorf("chart %s:%s: %w", c.name, c.version, err)
	}
	blob.MediaType = helmChart
	return blob, nil
}

// openRegistryChart opens a chart in a registry.
func (s *Source) openRegistryChart(ctx context.Context, res *descriptor.Resource, ref oci.Reference) (*Blob, error) {
	repo, err := s.repository(ref)
	if err != nil {
		return nil, err
	}
	m, whole, err := readChart(ctx, repo, ref, res)
	if err != nil {
		return nil, err
	}
	layer, err := contentLayer(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	var also []digest.Digest
	if !whole {
		if also, err = blobDigest(res, layer.Digest); err != nil {
			return nil, err
		}
	}
	rc, size, err := repo.Blob(ctx, layer.Digest, layer.Size, also...)
	if err != nil {
		return nil, err
	}
	return &Blob{ReadCloser: rc, MediaType: layer.MediaType, Size: size, Digest: layer.Digest}, nil
}

// readChart reads the manifest of a chart in a registry. The digest of the
// resource may be that of the manifest, or that of the chart it leads to, which
// has to be compared then. It reports whether the manifest was compared.
func readChart(ctx context.Context, repo oci.Storage, ref oci.Reference, res *descriptor.Resource) (m *oci.Manifest, whole bool, err error) {
	if res.Digest == nil || !res.Digest.ForBlob() {
		m, err = readManifest(ctx, repo, ref, res)
		return m, true, err
	}
	want, err := res.Digest.OCI()
	if err != nil {
		return nil, false, malformed(err)
	}
	m, err = repo.Manifest(ctx, ref.Version())
	if err != nil && !errors.Is(err, oci.ErrNotFound) {
		return nil, false, err
	}
	wrong := err
	if err == nil {
		if wrong = checkArtifact(res, m, ref.String()); wrong == nil {
			return m, true, nil
		}
		layer, err := contentLayer(m)
		if err == nil && agree(layer.Digest, want, ref.String()) == nil {
			return m, false, nil
		}
	}
	// The tag may have moved on.
	m, err = repo.Manifest(ctx, want.String())
	if errors.Is(err, oci.ErrNotFound) && !errors.Is(err, oci.ErrUnsure) {
		return nil, false, wrong
	}
	if err != nil {
		return nil, false, err
	}
	return m, true, checkArtifact(res, m, ref.String())
}

// openChart finds a chart through the index of its repository.
func (s *Source) openChart(ctx context.Context, res *descriptor.Resource, c *chart) (*Blob, error) {
	repository, err := parseAddress(c.Repository)
	if err != nil {
		return nil, malformed(err)
	}
	repository.RawQuery, repository.Fragment = "", ""
	credential := s.Remote.credential(repository)
	if credential.IsZero() && c.CACert != "" {
		// The component must not decide who gets to see a credential.
		credential.CertificateAuthority += "\n" + c.CACert
	}
	raw, err := s.Remote.small(ctx, request{url: repository.JoinPath(indexFile), credential: credential}, s.Remote.IndexBytes)
	if errors.Is(err, oci.ErrTooLarge) {
		return nil, fmt.Errorf("%w; --max-chart-index-size allows more", err)
	}
	if err != nil {
		return nil, err
	}
	entry, err := findChart(raw, c.name, c.version)
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", indexFile, repository.Redacted(), err)
	}
	also, err := entry.digests()
	if err != nil {
		return nil, err
	}
	target, err := entry.address(repository)
	if err != nil {
		return nil, err
	}
	if target.Host != repository.Host || target.Scheme != repository.Scheme {
		credential = credentials.Credential{}
	}
	return s.Remote.open(ctx, res, request{url: target, credential: credential}, also...)
}

// chartEntry is one version of a chart in an index.
type chartEntry struct {
	Version string   `yaml:"version"`
	URLs    []string `yaml:"urls"`
	Digest  string   `yaml:"digest"`
}

// digests returns what the index promises about the chart.
func (e *chartEntry) digests() ([]digest.Digest, error) {
	if e.Digest == "" {
		return nil, nil
	}
	d := digest.NewDigestFromEncoded(digest.SHA256, strings.TrimPrefix(e.Digest, "sha256:"))
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q in the index: %w", e.Digest, err)
	}
	return []digest.Digest{d}, nil
}

// address returns where the chart is, which an index may say relative to where it is
// itself. An index that came encrypted leads to nothing that does not.
func (e *chartEntry) address(repository *url.URL) (*url.URL, error) {
	target, err := repository.JoinPath("/").Parse(e.URLs[0])
	if err != nil {
		return nil, fmt.Errorf("%q is no address", e.URLs[0])
	}
	if target, err = parseAddress(target.String()); err != nil {
		return nil, err
	}
	if repository.Scheme == "https" && target.Scheme != "https" {
		return nil, fmt.Errorf("the index of %s leads to %s, which is not encrypted; this is refused", repository.Redacted(), target.Redacted())
	}
	return target, nil
}

// maxWhole bounds the index that is parsed as a whole, which takes about thirty
// times its size of memory.
const maxWhole = 2 << 20

// section cuts the charts of one name out of an index as Helm writes it: names
// two columns in, their versions below. It returns nothing for other indexes.
func section(raw []byte, name string) []byte {
	_, rest, found := bytes.Cut(raw, []byte("\nentries:\n"))
	if !found && bytes.HasPrefix(raw, []byte("entries:\n")) {
		rest, found = bytes.TrimPrefix(raw, []byte("entries:\n")), true
	}
	if !found {
		return nil
	}
	var out []byte
	for line := range bytes.Lines(rest) {
		text := bytes.TrimRight(line, "\r\n")
		isName := len(text) > 2 && text[0] == ' ' && text[1] == ' ' && text[2] != ' ' && text[2] != '-'
		switch {
		case string(text) == "  "+name+":":
			out = []byte("entries:\n" + string(line))
		case len(text) > 0 && text[0] != ' ', out != nil && isName:
			return out
		case out != nil:
			out = append(out, line...)
		}
	}
	return out
}

// findChart reads the entry of a chart out of an index.
func findChart(raw []byte, name, version string) (*chartEntry, error) {
	if cut := section(raw, name); cut != nil {
		raw = cut
	}
	if len(raw) > maxWhole {
		return nil, fmt.Errorf("it is %w to be read at once: %d bytes, at most %d are", oci.ErrTooLarge, len(raw), maxWhole)
	}
	var index struct {
		Entries map[string]yaml.Node `yaml:"entries"`
	}
	if err := yaml.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("it is no index of charts: %w", err)
	}
	if index.Entries == nil {
		return nil, errors.New("it is no index of charts: it has no entries")
	}
	node, ok := index.Entries[name]
	if !ok {
		return nil, fmt.Errorf("chart %s: %w", name, oci.ErrNotFound)
	}
	var all []chartEntry
	if err := node.Decode(&all); err != nil {
		return nil, fmt.Errorf("chart %s: %w", name, err)
	}
	for i := range all {
		if all[i].Version != version {
			continue
		}
		if len(all[i].URLs) == 0 {
			return nil, errors.New("the chart has no address")
		}
		return &all[i], nil
	}
	return nil, fmt.Errorf("version %s: %w; there are %d others", version, oci.ErrNotFound, len(all))
}
