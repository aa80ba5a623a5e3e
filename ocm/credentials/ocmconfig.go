package credentials

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// Types of configurations, without their version.
const (
	genericConfig     = "generic.config.ocm.software"
	credentialsConfig = "credentials.config.ocm.software"
)

// maxConfigDepth bounds generic configurations within generic ones.
const maxConfigDepth = 8

// FromOCMConfig reads a configuration of the Open Component Model, of type
// generic.config.ocm.software or credentials.config.ocm.software, as YAML or
// JSON. Consumers and Docker configurations that are written in it are used;
// consumers that are no registry or chart repository, and configurations of
// other types within a generic one, are for others. Errors name the place, never
// a secret.
func FromOCMConfig(data []byte) (*Store, error) {
	if len(data) > MaxConfigBytes {
		return nil, fmt.Errorf("OCM config of %d bytes is too large, at most %d are read", len(data), MaxConfigBytes)
	}
	if fit, err := aliasesFit(data); err != nil {
		return nil, fmt.Errorf("OCM config is neither YAML nor JSON%s", lineOf(err))
	} else if !fit {
		return nil, fmt.Errorf("OCM config is too large: its aliases make more than %d bytes of it", MaxConfigBytes)
	}
	js, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, fmt.Errorf("OCM config is neither YAML nor JSON%s", lineOf(err))
	}
	s := &Store{}
	if err := s.addConfig(js, 0); err != nil {
		return nil, fmt.Errorf("OCM config: %w", err)
	}
	return s, nil
}

// aliasesFit reports whether a configuration would not be too large without its
// aliases: a few of them can make gigabytes.
func aliasesFit(data []byte) (bool, error) {
	if !bytes.ContainsRune(data, '*') {
		return true, nil
	}
	var root yamlv3.Node
	if err := yamlv3.Unmarshal(data, &root); err != nil {
		return false, err
	}
	left := MaxConfigBytes
	return fits(&root, &left), nil
}

// fits takes what a value has from what is left. Each value has a byte at
// least, which ends one that contains itself.
func fits(n *yamlv3.Node, left *int) bool {
	if *left -= 1 + len(n.Value); *left < 0 {
		return false
	}
	if n.Kind == yamlv3.AliasNode {
		return fits(n.Alias, left)
	}
	for _, child := range n.Content {
		if !fits(child, left) {
			return false
		}
	}
	return true
}

var linePattern = regexp.MustCompile(`line \d+`)

// lineOf returns the line an error of the YAML decoder is about, without the
// text it quotes.
func lineOf(err error) string {
	if line := linePattern.FindString(err.Error()); line != "" {
		return ": " + line
	}
	return ""
}

// typeName returns a type without its version.
func typeName(t string) string {
	name, _, _ := strings.Cut(t, "/")
	return name
}

func decode(js []byte, v any) error {
	if err := json.Unmarshal(js, v); err != nil {
		return errors.New(syntaxHint(err))
	}
	return nil
}

func (s *Store) addConfig(js []byte, depth int) error {
	var head struct {
		Type           string            `json:"type"`
		Configurations []json.RawMessage `json:"configurations"`
	}
	if err := decode(js, &head); err != nil {
		return err
	}
	switch typeName(head.Type) {
	case credentialsConfig:
		return s.addCredentials(js)
	case genericConfig:
		if depth >= maxConfigDepth {
			return fmt.Errorf("more than %d configurations within another", maxConfigDepth)
		}
		for i, inner := range head.Configurations {
			if err := s.addConfig(inner, depth+1); err != nil {
				return fmt.Errorf("configuration %d: %w", i+1, err)
			}
		}
		return nil
	}
	// Generic configurations hold the settings of other tools, too.
	if depth > 0 {
		return nil
	}
	return fmt.Errorf("type %q is neither %s nor %s", head.Type, genericConfig, credentialsConfig)
}

type consumer struct {
	Identity    map[string]string   `json:"identity"`
	Identities  []map[string]string `json:"identities"`
	Credentials []struct {
		Type       string                     `json:"type"`
		Properties map[string]json.RawMessage `json:"properties"`
	} `json:"credentials"`
}

func (s *Store) addCredentials(js []byte) error {
	var config struct {
		Consumers    []consumer `json:"consumers"`
		Repositories []struct {
			Repository json.RawMessage `json:"repository"`
		} `json:"repositories"`
	}
	if err := decode(js, &config); err != nil {
		return err
	}
	for i, c := range config.Consumers {
		if err := s.addConsumer(c); err != nil {
			return fmt.Errorf("consumer %d: %w", i+1, err)
		}
	}
	for i, r := range config.Repositories {
		if err := s.addRepository(r.Repository); err != nil {
			return fmt.Errorf("repository %d: %w", i+1, err)
		}
	}
	return nil
}

func (s *Store) addConsumer(c consumer) error {
	identities := c.Identities
	if c.Identity != nil {
		identities = append(identities, c.Identity)
	}
	for _, id := range identities {
		e, ok, err := entryFor(id)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if e.cred, err = c.credential(); err != nil {
			return fmt.Errorf("credentials of %s: %w", e.host, err)
		}
		s.entries = append(s.entries, e)
	}
	return nil
}

// entryFor returns where the credential of a consumer belongs, if it is one of
// the kinds this package knows.
func entryFor(id map[string]string) (entry, bool, error) {
	e := entry{path: strings.Trim(id["pathprefix"], "/"), scheme: strings.ToLower(id["scheme"])}
	switch strings.ToLower(typeName(id["type"])) {
	case "ociregistry":
		e.kind = OCIRegistry
	case "helmchartrepository":
		e.kind = HelmChartRepository
	default:
		return entry{}, false, nil
	}
	if e.scheme == "oci" {
		e.scheme = "https"
	}
	e.plain = e.scheme == "http"
	hostname, port := strings.TrimSpace(id["hostname"]), id["port"]
	switch {
	case hostname == "":
		return entry{}, false, errors.New("it has no hostname, so that its credentials would be sent to every host")
	case strings.ContainsAny(hostname, "/ @"):
		return entry{}, false, errors.New("its hostname is more than a host name; use scheme, port and pathprefix for the rest")
	case port == "":
		if _, _, err := net.SplitHostPort(hostname); err != nil {
			e.anyPort = true
		}
	default:
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return entry{}, false, errors.New("its port is no port number")
		}
		hostname = net.JoinHostPort(strings.Trim(hostname, "[]"), port)
	}
	e.host = canonicalHost(hostname)
	return e, true, nil
}

func (c consumer) credential() (Credential, error) {
	switch {
	case len(c.Credentials) == 0:
		return Credential{}, errors.New("there are none")
	case len(c.Credentials) > 1:
		return Credential{}, errors.New("there are several, write one with all properties")
	}
	given := c.Credentials[0]
	switch typeName(given.Type) {
	case "Credentials", "DirectCredentials":
	default:
		return Credential{}, fmt.Errorf("type %q is not supported, use Credentials", given.Type)
	}
	var out Credential
	for name, target := range map[string]*string{
		"username":             &out.Username,
		"password":             &out.Password,
		"identityToken":        &out.RefreshToken,
		"refreshToken":         &out.RefreshToken,
		"token":                &out.AccessToken,
		"accessToken":          &out.AccessToken,
		"certificateAuthority": &out.CertificateAuthority,
		"certificate":          &out.Certificate,
		"privateKey":           &out.PrivateKey,
	} {
		raw, ok := given.Properties[name]
		if !ok {
			continue
		}
		var value string
		if json.Unmarshal(raw, &value) != nil {
			return Credential{}, fmt.Errorf("property %s is no text, put it in quotes", name)
		}
		if value != "" {
			*target = value
		}
	}
	if (out.Certificate == "") != (out.PrivateKey == "") {
		return Credential{}, errors.New("certificate and privateKey belong together")
	}
	if out.RefreshToken != "" {
		out.Password = ""
	}
	return out, nil
}

// addRepository adds the credentials of a Docker configuration.
func (s *Store) addRepository(js []byte) error {
	var spec struct {
		Type      string          `json:"type"`
		File      string          `json:"dockerConfigFile"`
		Inline    json.RawMessage `json:"dockerConfig"`
		Propagate *bool           `json:"propagateConsumerIdentity"`
	}
	if err := decode(js, &spec); err != nil {
		return err
	}
	switch {
	case typeName(spec.Type) != "DockerConfig":
		return fmt.Errorf("type %q is not supported, use DockerConfig", spec.Type)
	case spec.File != "":
		return errors.New("dockerConfigFile is a file that is not here, write its content as dockerConfig")
	case spec.Propagate != nil && !*spec.Propagate:
		// Its credentials are for those that name the repository only.
		return nil
	}
	inline := bytes.TrimSpace(spec.Inline)
	var text string
	if json.Unmarshal(inline, &text) == nil {
		inline = []byte(text)
	}
	docker, err := FromDockerConfigJSON(inline)
	if err != nil {
		return err
	}
	s.entries = append(s.entries, docker.entries...)
	return nil
}
