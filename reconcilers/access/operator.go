package access

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/auth"
	"github.com/fluxcd/pkg/cache"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

// OperatorLogin logs the operator itself in at the registry of a cloud, in which it keeps what is its own.
type OperatorLogin struct {
	provider, host string
	cloud          cloud
	tokens         *cache.TokenCache
}

// NewOperatorLogin returns the log-in at a host by a provider: aws, azure or gcp. It sends no request.
func NewOperatorLogin(provider, host string) (*OperatorLogin, error) {
	known, ok := clouds[provider]
	if !ok {
		return nil, fmt.Errorf("provider %q is not known: want %s, %s, %s or %s",
			provider, v1alpha1.GenericProvider, v1alpha1.AWSProvider, v1alpha1.AzureProvider, v1alpha1.GCPProvider)
	}
	if _, err := known.login.ParseArtifactRepository(host); err != nil {
		return nil, fmt.Errorf("provider %s does not serve the registry %s: it serves such as %s", provider, host, known.registries)
	}
	tokens, err := cache.NewTokenCache(1)
	if err != nil {
		return nil, fmt.Errorf("memory for tokens: %w", err)
	}
	return &OperatorLogin{provider: provider, host: host, cloud: known, tokens: tokens}, nil
}

// Login returns the credential of the operator, and remembers it until it is about to expire. The error is a *LoginError.
func (l *OperatorLogin) Login(ctx context.Context) (credentials.Credential, error) {
	failed := &LoginError{Provider: l.provider, Host: l.host}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	var given *auth.ArtifactRegistryCredentials
	given, failed.Err = auth.GetArtifactRegistryCredentials(ctx, l.cloud.login, l.host,
		auth.WithCache(*l.tokens, cache.InvolvedObject{Kind: "SnapshotRegistry", Name: l.host, Operation: cache.OperationReconcile}))
	if failed.Err != nil {
		return credentials.Credential{}, failed
	}
	config, err := given.Authorization()
	if failed.Err = err; err != nil {
		return credentials.Credential{}, failed
	}
	return credentials.Credential{Username: config.Username, Password: config.Password}, nil
}
