package access

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/auth"
	"github.com/fluxcd/pkg/auth/aws"
	"github.com/fluxcd/pkg/auth/azure"
	"github.com/fluxcd/pkg/auth/gcp"
	"github.com/fluxcd/pkg/cache"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

const (
	// loginTimeout bounds a log-in at a cloud. Outside of a cloud, its client waits for an answer that never comes.
	loginTimeout = 30 * time.Second
	// maxTokens bounds how many tokens are remembered.
	maxTokens = 256
)

// LoginError says that a cloud did not give a token for a registry.
type LoginError struct {
	// Provider is the cloud, as in the spec of a repository, and Host the registry.
	Provider, Host string
	// Account is the ServiceAccount that was to log in; it is empty for the operator itself.
	Account string
	// Err is the cause. Its message is shown without what differs from try to try.
	Err error
}

// Error says who was to log in, and what to check.
func (e *LoginError) Error() string {
	who := "with the identity of the operator"
	if e.Account != "" {
		who = "with the identity of ServiceAccount " + e.Account
	}
	return fmt.Sprintf("log in at %s %s by provider %s: %s; %s", e.Host, who, e.Provider, steady(e.Err), clouds[e.Provider].check)
}

// Unwrap returns the cause.
func (e *LoginError) Unwrap() error { return e.Err }

// cloud is what is known of a provider.
type cloud struct {
	login auth.ArtifactRegistryCredentialsProvider
	// registries says by example which registries it has.
	registries string
	// check says what to look at when a log-in fails.
	check string
}

var clouds = map[string]cloud{
	v1alpha1.AWSProvider: {
		login: aws.Provider{}, registries: "123456789012.dkr.ecr.eu-west-1.amazonaws.com or public.ecr.aws",
		check: "check that its ServiceAccount has the annotation eks.amazonaws.com/role-arn or a pod identity, that the role trusts it, " +
			"and that the role may read from ECR",
	},
	v1alpha1.AzureProvider: {
		login: azure.Provider{}, registries: "example.azurecr.io",
		check: "check that its ServiceAccount has the annotations azure.workload.identity/client-id and azure.workload.identity/tenant-id " +
			"and a federated credential, and that the identity has the role AcrPull",
	},
	v1alpha1.GCPProvider: {
		login: gcp.Provider{}, registries: "europe-docker.pkg.dev or gcr.io",
		check: "check that its ServiceAccount is bound to one of Google Cloud by the annotation iam.gke.io/gcp-service-account " +
			"or by workload identity federation, and that it may read from Artifact Registry",
	},
}

// identities log in at registries with the identity of a workload, and remember the tokens until they expire.
type identities struct {
	// accounts makes tokens of ServiceAccounts; nil refuses to.
	accounts client.Client
	tokens   *cache.TokenCache
}

// enableObjects tells the library, which asks a variable of its own. Whether objects may log in is decided here.
var enableObjects = sync.OnceFunc(auth.EnableObjectLevelWorkloadIdentity)

func newIdentities(accounts client.Client) (*identities, error) {
	tokens, err := cache.NewTokenCache(maxTokens)
	if err != nil {
		return nil, fmt.Errorf("memory for tokens: %w", err)
	}
	enableObjects()
	return &identities{accounts: accounts, tokens: tokens}, nil
}

// +kubebuilder:rbac:roleName=workload-identity,groups="",resources=serviceaccounts/token,verbs=create

// login returns the credential of the operator, or of a ServiceAccount if there is one, for the registry of a repository. The
// proxy is for the ServiceAccount only.
func (i *identities) login(ctx context.Context, user User, r v1alpha1.Repository, field string, account *corev1.ServiceAccount, proxy *url.URL) (credentials.Credential, error) {
	host := hostOf(r.URL)
	known, ok := clouds[r.Provider]
	if !ok {
		return credentials.Credential{}, lifecycle.Stall(v1alpha1.InvalidSpecReason,
			fmt.Errorf("%s.provider %q is not known: want generic, aws, azure or gcp", field, r.Provider))
	}
	if err := known.serves(field, r.Provider, host); err != nil {
		return credentials.Credential{}, lifecycle.Stall(v1alpha1.InvalidSpecReason, err)
	}
	options := []auth.Option{auth.WithCache(*i.tokens, cache.InvolvedObject{
		Kind: user.Kind, Namespace: user.Namespace, Name: user.Name, Operation: cache.OperationReconcile,
	})}
	failed := &LoginError{Provider: r.Provider, Host: host}
	if account != nil {
		if err := i.checkAccount(known.login, r.Provider, account); err != nil {
			return credentials.Credential{}, err
		}
		failed.Account = account.Namespace + "/" + account.Name
		options = append(options, auth.WithClient(i.accounts), auth.WithServiceAccountName(account.Name), auth.WithServiceAccountNamespace(account.Namespace))
	}
	if account != nil && proxy != nil {
		// The operator's own log-in must not see it: clouds give machines their identity over plain HTTP, and whoever chose the
		// proxy would get that of the operator.
		options = append(options, auth.WithProxyURL(*proxy))
	}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	given, err := auth.GetArtifactRegistryCredentials(ctx, known.login, host, options...)
	if err != nil {
		failed.Err = err
		return credentials.Credential{}, failed
	}
	config, err := given.Authorization()
	if err != nil {
		failed.Err = err
		return credentials.Credential{}, failed
	}
	return credentials.Credential{Username: config.Username, Password: config.Password}, nil
}

// serves returns an error unless a registry is one of the cloud's, whose tokens must not go anywhere else.
func (c cloud) serves(field, provider, host string) error {
	if strings.HasPrefix(host, "http://") {
		return fmt.Errorf("%s.url is read without TLS, which provider %s never is: write https:// or nothing in front", field, provider)
	}
	if _, err := c.login.ParseArtifactRepository(host); err != nil {
		return fmt.Errorf("%s.provider %s does not serve the registry %s: it serves such as %s; use secretRef, or provider generic, for others",
			field, provider, host, c.registries)
	}
	return nil
}

// checkAccount returns what the user has to do before a ServiceAccount can log in.
func (i *identities) checkAccount(p auth.Provider, provider string, account *corev1.ServiceAccount) error {
	unusable := func(why string) error {
		return &UnusableError{Kind: "ServiceAccount", Namespace: account.Namespace, Name: account.Name, Why: why}
	}
	if i.accounts == nil {
		return unusable(fmt.Sprintf("has no image pull secret for the registry, and it can't log in by provider %s: "+
			"start the operator with --object-level-workload-identity, or give it such a Secret", provider))
	}
	if _, err := p.GetIdentity(*account); err != nil {
		return unusable(fmt.Sprintf("can't log in by provider %s: %s", provider, steady(err)))
	}
	return nil
}

// Parts of messages that differ from try to try, and what could be a token.
var (
	fickle = regexp.MustCompile(`(?i)(request|trace|correlation)[ _-]?id: ?[^\s,;]+[,;]? ?|timestamp: [^\n]*`)
	tokens = regexp.MustCompile(`eyJ[\w.-]+`)
)

// maxCause is how much of the message of a cloud is shown.
const maxCause = 400

// steady returns the message of a cloud without what differs from try to try: conditions compare messages.
func steady(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "there was no answer in time"
	}
	text := tokens.ReplaceAllString(fickle.ReplaceAllString(err.Error(), ""), "***")
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxCause {
		text = strings.ToValidUTF8(text[:maxCause], "") + "..."
	}
	return text
}
