package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// minKey is the shortest key: what the hash can use.
	minKey = 32
	// maxUsername bounds what is looked at before it is known to be ours.
	maxUsername = 512
	// version is the first field of a user name; a new layout gets a new one.
	version = "ocm1"
	// sealed separates the seal from whatever else the key may once be used for.
	sealed = "ocm-registry-credential\x00"
)

// errUnknownKey says that a credential may be good, for all that can be told without its key.
var errUnknownKey = fmt.Errorf("%w: its key is not known, or was retired", ErrUnauthenticated)

// encoding is strict: one scope has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// Scope is what a credential allows.
type Scope struct {
	// Prefix is where it holds: "team-a/" for the repositories of one namespace, "team-a/app/" for
	// the repository team-a/app and those below it, empty for all. It ends with a slash, so that
	// "team-a/" never covers "team-a-secret/".
	Prefix string
	// Push also allows to write and to delete.
	Push bool
}

// Credential is what a client sends as basic authentication.
type Credential struct {
	// Username carries the scope and the end; it is no secret.
	Username string
	// Password is the seal of the user name.
	Password string
	// Expires is when it ends.
	Expires time.Time
}

// Issuer makes and checks credentials. It is safe for use by many goroutines.
type Issuer struct {
	now  func() time.Time
	keys atomic.Pointer[[]sealKey]
}

type sealKey struct {
	id     string
	secret []byte
}

// NewIssuer returns an issuer with one key of at least 32 random bytes. A nil now is time.Now.
func NewIssuer(key []byte, now func() time.Time) (*Issuer, error) {
	if now == nil {
		now = time.Now
	}
	i := &Issuer{now: now}
	return i, i.SetKeys(key)
}

// SetKeys replaces the keys. The first one seals new credentials; those sealed with any of them
// are valid. To rotate, put a new key first and leave the old one until what it sealed has ended.
func (i *Issuer) SetKeys(keys ...[]byte) error {
	if len(keys) == 0 {
		return errors.New("registry credentials need a key")
	}
	all := make([]sealKey, len(keys))
	for n, key := range keys {
		if len(key) < minKey {
			return fmt.Errorf("key %d of the registry credentials has %d bytes; it needs %d or more", n+1, len(key), minKey)
		}
		id := sha256.Sum256(append([]byte("ocm-registry-key-id\x00"), key...))
		all[n] = sealKey{id: hex.EncodeToString(id[:4]), secret: append([]byte(nil), key...)}
	}
	i.keys.Store(&all)
	return nil
}

// Issue makes a credential that ends after ttl. It fails when the prefix does not end with a
// slash.
func (i *Issuer) Issue(s Scope, ttl time.Duration) (Credential, error) {
	if s.Prefix != "" && !strings.HasSuffix(s.Prefix, "/") {
		return Credential{}, fmt.Errorf("registry scope %q has to end with a slash", s.Prefix)
	}
	key := (*i.keys.Load())[0]
	expires := time.Unix(i.now().Add(ttl).Unix(), 0)
	mode := "r"
	if s.Push {
		mode = "w"
	}
	username := strings.Join([]string{
		version, key.id, strconv.FormatInt(expires.Unix(), 10), mode, encoding.EncodeToString([]byte(s.Prefix)),
	}, ".")
	if len(username) > maxUsername {
		return Credential{}, fmt.Errorf("registry scope %q is too long", s.Prefix)
	}
	return Credential{Username: username, Password: encoding.EncodeToString(key.seal(username)), Expires: expires}, nil
}

func (k sealKey) seal(username string) []byte {
	mac := hmac.New(sha256.New, k.secret)
	mac.Write([]byte(sealed))
	mac.Write([]byte(username))
	return mac.Sum(nil)
}

// Authorize implements Authorizer.
func (i *Issuer) Authorize(_ context.Context, r Request) error {
	scope, err := i.verify(r.Username, r.Password)
	if err != nil {
		return err
	}
	r.Identify(scope.String())
	return scope.allows(r)
}

// KeyID tells which key seals new credentials. It is no secret.
func (i *Issuer) KeyID() string { return (*i.keys.Load())[0].id }

// Current tells whether a request is allowed by a credential that is sealed with the key which new ones are sealed with.
func (i *Issuer) Current(r Request) bool {
	claims, err := parseUsername(r.Username)
	if err != nil || claims.keyID != i.KeyID() {
		return false
	}
	scope, err := i.verify(r.Username, r.Password)
	return err == nil && scope.allows(r) == nil
}

// verify checks the seal before it believes anything of what the user name says.
func (i *Issuer) verify(username, password string) (Scope, error) {
	claims, err := parseUsername(username)
	if err != nil {
		return Scope{}, err
	}
	given, err := encoding.DecodeString(password)
	if err != nil || len(given) != sha256.Size {
		return Scope{}, fmt.Errorf("%w: the password is not one of this registry", ErrUnauthenticated)
	}
	known, valid := false, false
	for _, key := range *i.keys.Load() {
		if key.id == claims.keyID {
			known = true
			valid = valid || hmac.Equal(key.seal(username), given)
		}
	}
	switch {
	case !known:
		return Scope{}, errUnknownKey
	case !valid:
		return Scope{}, fmt.Errorf("%w: user name and password do not belong together", ErrUnauthenticated)
	case !i.now().Before(claims.expires):
		return Scope{}, fmt.Errorf("%w: this one ended at %s", ErrUnauthenticated, claims.expires.UTC().Format(time.RFC3339))
	default:
		return claims.scope, nil
	}
}

type claims struct {
	keyID   string
	expires time.Time
	scope   Scope
}

func parseUsername(username string) (claims, error) {
	bad := fmt.Errorf("%w: the user name is not one of this registry", ErrUnauthenticated)
	if len(username) > maxUsername {
		return claims{}, bad
	}
	fields := strings.Split(username, ".")
	if len(fields) != 5 || fields[0] != version || fields[3] != "r" && fields[3] != "w" {
		return claims{}, bad
	}
	seconds, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return claims{}, bad
	}
	prefix, err := encoding.DecodeString(fields[4])
	if err != nil {
		return claims{}, bad
	}
	return claims{
		keyID: fields[1], expires: time.Unix(seconds, 0),
		scope: Scope{Prefix: string(prefix), Push: fields[3] == "w"},
	}, nil
}

// String tells what the scope allows, as "pull team-a/*".
func (s Scope) String() string {
	if s.Push {
		return "push " + s.Prefix + "*"
	}
	return "pull " + s.Prefix + "*"
}

func (s Scope) allows(r Request) error {
	switch {
	case r.Action == Pull && r.Repository == "":
		return nil
	case r.Action == Catalog && s.Prefix != "":
		return fmt.Errorf("%w: it covers %s* only, not the list of all repositories", ErrDenied, s.Prefix)
	case r.Action == Catalog:
		return nil
	case !strings.HasPrefix(r.Repository+"/", s.Prefix):
		return fmt.Errorf("%w: it covers %s* only", ErrDenied, s.Prefix)
	case r.Action != Pull && !s.Push:
		return fmt.Errorf("%w: it is for reading only", ErrDenied)
	default:
		return nil
	}
}
