package fluxdeployer

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// secrets reads the Secrets of deployers. Secrets are not cached, only what is said about them is: as long as that says
// that a Secret is the one that was read or written last, the server isn't asked for it again.
type secrets struct {
	// metadata reads from the cache, live past it.
	metadata, live client.Reader

	mu    sync.Mutex
	known map[client.ObjectKey]*corev1.Secret
}

func newSecrets(metadata, live client.Reader) *secrets {
	return &secrets{metadata: metadata, live: live, known: map[client.ObjectKey]*corev1.Secret{}}
}

// stub returns what the cache says about a Secret; nil means that there is none.
func (s *secrets) stub(ctx context.Context, key client.ObjectKey) (*metav1.PartialObjectMetadata, error) {
	stub := &metav1.PartialObjectMetadata{}
	stub.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := s.metadata.Get(ctx, key, stub)
	if apierrors.IsNotFound(err) {
		s.forget(key)
		return nil, nil //nolint:nilnil // documented: absence is no error
	}
	if err != nil {
		return nil, fmt.Errorf("get Secret %s: %w", key, err)
	}
	return stub, nil
}

// get returns a Secret, to be changed by the caller at will; nil means that there is none.
func (s *secrets) get(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	stub, err := s.stub(ctx, key)
	if err != nil || stub == nil {
		return nil, err
	}
	if known := s.recall(key); known != nil && upToDate(known, stub) {
		return known, nil
	}
	secret := &corev1.Secret{}
	err = s.live.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) {
		s.forget(key)
		return nil, nil //nolint:nilnil // documented: absence is no error
	}
	if err != nil {
		return nil, fmt.Errorf("get Secret %s: %w", key, err)
	}
	s.remember(secret)
	return secret, nil
}

// upToDate tells whether what is known is what the cache speaks of, or newer: the cache may not have seen our own last
// write yet.
func upToDate(known *corev1.Secret, stub *metav1.PartialObjectMetadata) bool {
	if known.UID != stub.UID {
		return false
	}
	if known.ResourceVersion == stub.ResourceVersion {
		return true
	}
	ours, err := strconv.ParseUint(known.ResourceVersion, 10, 64)
	theirs, bad := strconv.ParseUint(stub.ResourceVersion, 10, 64)
	return err == nil && bad == nil && ours > theirs
}

func (s *secrets) recall(key client.ObjectKey) *corev1.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.known[key]; ok {
		return known.DeepCopy()
	}
	return nil
}

func (s *secrets) remember(secret *corev1.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[client.ObjectKeyFromObject(secret)] = secret.DeepCopy()
}

func (s *secrets) forget(key client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, key)
}
