package credentials

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MaxConfigBytes is the size of the largest Docker configuration that is read;
// it is what a Kubernetes Secret may hold.
const MaxConfigBytes = 1 << 20

// noUsername is what registries expect in place of a user name next to a token.
const noUsername = "<token>"

// dockerConfig is the part of Docker's config.json that holds credentials.
// Credential helpers are ignored: they are programs, which are not there.
type dockerConfig struct {
	Auths map[string]dockerAuth `json:"auths"`
}

type dockerAuth struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	Auth          string `json:"auth"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// FromDockerConfigJSON reads the format of a Secret of type
// kubernetes.io/dockerconfigjson. Errors name the registry, never a secret.
func FromDockerConfigJSON(data []byte) (*Store, error) {
	if len(data) > MaxConfigBytes {
		return nil, fmt.Errorf("docker config of %d bytes is too large, at most %d are read", len(data), MaxConfigBytes)
	}
	var cfg dockerConfig
	if err := json.Unmarshal(data, &cfg); err != nil {
		return nil, fmt.Errorf("docker config is not the JSON of a .dockerconfigjson: %s", syntaxHint(err))
	}
	s := &Store{}
	for _, key := range slices.Sorted(maps.Keys(cfg.Auths)) {
		host, _ := splitKey(key)
		if host == "" {
			return nil, fmt.Errorf("docker config: %q names no host", key)
		}
		c, err := cfg.Auths[key].credential()
		if err != nil {
			return nil, fmt.Errorf("docker config: credentials of %q: %w", key, err)
		}
		if !c.IsZero() {
			s.Add(key, c)
		}
	}
	return s, nil
}

func (a dockerAuth) credential() (Credential, error) {
	c := Credential{Username: a.Username, Password: a.Password, RefreshToken: a.IdentityToken, AccessToken: a.RegistryToken}
	if c.Username == "" && c.Password == "" && a.Auth != "" {
		user, password, err := decodeAuth(a.Auth)
		if err != nil {
			return Credential{}, err
		}
		c.Username, c.Password = user, password
	}
	if c.Username == noUsername {
		c.Username = ""
	}
	if c.RefreshToken != "" {
		c.Password = ""
	}
	return c, nil
}

func decodeAuth(auth string) (user, password string, err error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(auth))
	if err != nil {
		// Some tools leave the padding out.
		raw, err = base64.RawStdEncoding.DecodeString(strings.TrimSpace(auth))
	}
	if err != nil {
		return "", "", errors.New("field auth is not base64")
	}
	user, password, ok := strings.Cut(string(raw), ":")
	if !ok {
		return "", "", errors.New("field auth is not the base64 of user:password")
	}
	return user, strings.TrimRight(password, "\x00"), nil
}

// syntaxHint describes an error of the JSON decoder without quoting the input,
// which is secret.
func syntaxHint(err error) string {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("syntax error at byte %d", syntax.Offset)
	}
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("field %s is not a %s", typ.Field, typ.Type)
	}
	return "it cannot be decoded"
}
