package access

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// maxInlineKey is how long the value of a public key in a spec may be, as the API says.
const maxInlineKey = 64 << 10

// pemStart begins each block of PEM.
const pemStart = "-----BEGIN "

// KeyNotFound is how the text of each *KeyMissingError begins.
const KeyNotFound = "public key not found"

// KeyMissingError says that a Secret doesn't exist which is to hold the key that a signature is checked with, or has no such key.
type KeyMissingError struct {
	// Signature is the name of the signature.
	Signature string
	// Namespace and Secret name the Secret, Key is the name in it.
	Namespace, Secret, Key string
	// Why says what is missing and what to do, as a clause.
	Why string
}

// Error implements error.
func (e *KeyMissingError) Error() string {
	return fmt.Sprintf("%s: Secret %s/%s %s", KeyNotFound, e.Namespace, e.Secret, e.Why)
}

// keyReader reads what the signatures are checked with that one object asks for.
type keyReader struct {
	live client.Reader
	user User
	// secrets are those that were read; nil is one that doesn't exist.
	secrets map[string]*corev1.Secret
}

// request returns what one entry of spec.verify asks for, and what its answer depends on. The field is where the entry names
// the Secret of a public key.
func (k *keyReader) request(ctx context.Context, signature v1alpha1.Signature, keyField string) (signing.Request, []string, error) {
	var (
		request = signing.Request{Name: signature.Name}
		err     error
	)
	switch {
	case signature.PublicKey != nil && signature.Certificate != nil:
		return request, nil, k.wrong(signature.Name, "is checked with a publicKey or with a certificate: set one of the two")
	case signature.Certificate != nil:
		request.Authority, err = k.authority(ctx, signature.Name, signature.Certificate)
		if err != nil {
			return request, nil, err
		}
		return request, []string{"authority", request.Authority.Fingerprint()}, nil
	case signature.PublicKey == nil:
		return request, nil, k.wrong(signature.Name, "names no key: set publicKey or certificate")
	case signature.PublicKey.Value != "":
		request.Keys, err = k.inline(signature.Name, signature.PublicKey.Value)
	default:
		request.Keys, err = k.stored(ctx, signature.Name, nameOf(signature.PublicKey.SecretRef), keyField)
	}
	if err != nil {
		return request, nil, err
	}
	return request, []string{"keys", request.Keys.Fingerprint()}, nil
}

// inline reads the keys that the spec itself holds.
func (k *keyReader) inline(signature, value string) (*signing.Keys, error) {
	const field = "has a publicKey.value that can't be used: "
	if len(value) > maxInlineKey {
		return nil, k.wrong(signature, fmt.Sprintf(field+"it has %d characters, at most %d are read", len(value), maxInlineKey))
	}
	if strings.Contains(value, pemStart) {
		return nil, k.wrong(signature, field+"it is PEM, set it to the base64 of that, as base64 -w0 writes it")
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
	if err != nil {
		return nil, k.wrong(signature, field+"it is no standard base64, set it to what base64 -w0 writes of the PEM file of the public key")
	}
	keys, err := parseKeys(decoded)
	if err != nil {
		return nil, k.wrong(signature, field+err.Error())
	}
	return keys, nil
}

// stored reads the keys that a Secret holds under the name of the signature.
func (k *keyReader) stored(ctx context.Context, signature, name, field string) (*signing.Keys, error) {
	if name == "" {
		return nil, k.wrong(signature, "names no key: set publicKey.secretRef.name or publicKey.value")
	}
	if problems := validation.IsConfigMapKey(signature); len(problems) > 0 {
		return nil, k.wrong(signature, "has a name that no key of a Secret can have: set publicKey.value to the public key instead of publicKey.secretRef")
	}
	data, err := k.data(ctx, signature, name, signature, field)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(data)
	if err != nil {
		return nil, k.unusable(name, fmt.Sprintf("has a key %q that can't be used as public key: %v", signature, err))
	}
	return keys, nil
}

// authority reads the certificates that a Secret holds.
func (k *keyReader) authority(ctx context.Context, signature string, certificate *v1alpha1.Certificate) (*signing.Authority, error) {
	name := certificate.RootsSecretRef.Name
	if name == "" {
		return nil, k.wrong(signature, "names no certificates: set certificate.rootsSecretRef.name")
	}
	if _, err := signing.ParseSubject(certificate.Subject); err != nil {
		return nil, k.wrong(signature, fmt.Sprintf("has a certificate.subject that can't be used: %v", err))
	}
	data, err := k.data(ctx, signature, name, authorityKey, "certificate.rootsSecretRef")
	if err != nil {
		return nil, err
	}
	authority, err := signing.NewAuthority(data, certificate.Subject)
	if err != nil {
		return nil, k.unusable(name, fmt.Sprintf("has a key %q that can't be used for signature %s: %v", authorityKey, signature, err))
	}
	return authority, nil
}

// data returns what a Secret holds under a key. Each Secret is read once, so that all signatures are checked with the same
// state of it.
func (k *keyReader) data(ctx context.Context, signature, name, key, field string) ([]byte, error) {
	secret, known := k.secrets[name]
	if !known {
		read := &corev1.Secret{}
		err := k.live.Get(ctx, client.ObjectKey{Namespace: k.user.Namespace, Name: name}, read)
		switch {
		case err == nil:
			secret = read
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("get Secret %s/%s: %w", k.user.Namespace, name, err)
		}
		k.secrets[name] = secret
	}
	missing := &KeyMissingError{Signature: signature, Namespace: k.user.Namespace, Secret: name, Key: key}
	if secret == nil {
		missing.Why = fmt.Sprintf("does not exist: create it with the key %q, or change %s of signature %s, which names it", key, field, signature)
		return nil, missing
	}
	if len(bytes.TrimSpace(secret.Data[key])) == 0 {
		missing.Why = fmt.Sprintf("has nothing under the key %q, which signature %s needs; it has: %v", key, signature, slices.Sorted(maps.Keys(secret.Data)))
		return nil, missing
	}
	return bytes.TrimSpace(secret.Data[key]), nil
}

// wrong says that an entry of spec.verify itself can't be used.
func (k *keyReader) wrong(signature, why string) error {
	return &UnusableError{
		Kind: k.user.Kind, Namespace: k.user.Namespace, Name: k.user.Name,
		Why: fmt.Sprintf("has in spec.verify the signature %q, which %s", signature, why),
	}
}

func (k *keyReader) unusable(name, why string) error {
	return &UnusableError{Kind: "Secret", Namespace: k.user.Namespace, Name: name, Why: why}
}

// parseKeys reads public keys, and knows the usual mistake.
func parseKeys(data []byte) (*signing.Keys, error) {
	keys, err := signing.ParsePublicKeys(data)
	if err == nil {
		return keys, nil
	}
	decoded, broken := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(data)), ""))
	if broken == nil && bytes.Contains(decoded, []byte(pemStart)) {
		return nil, errors.New("it is PEM that was encoded with base64 once more than needed: store the PEM itself")
	}
	return nil, err
}
