package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/operator/rights"
)

// tokenTTL is how long the token of the operator is good: longer than any test, as nobody makes it again.
const tokenTTL = 7 * 24 * time.Hour

// authorize gives the operator's ServiceAccount the rights that its arguments need, and returns the path of the file by which it
// reaches the cluster with nothing else. Rights that differ have a ServiceAccount each, as a cluster may have several operators.
func (o *Operator) authorize(ctx context.Context) (string, error) {
	if o.options.Unrestricted {
		return o.options.Kubeconfig, nil
	}
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	needs, err := rights.Of(root, Namespace, o.args())
	if err != nil {
		return "", err
	}
	if o.options.Rights != nil {
		needs = *o.options.Rights
	}
	access, err := clientcmd.LoadFromFile(o.options.Kubeconfig)
	if err != nil {
		return "", fmt.Errorf("read how the cluster is reached: %w", err)
	}
	token, err := grant(ctx, access, needs)
	if err != nil {
		return "", fmt.Errorf("give the operator its rights: %w", err)
	}
	for name := range access.AuthInfos {
		access.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
	}
	o.account = needs.Name()
	path := filepath.Join(o.options.Dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*access, path); err != nil {
		return "", fmt.Errorf("write how the operator reaches the cluster: %w", err)
	}
	return path, nil
}

// grant makes the ServiceAccount with its roles, and a token of it.
func grant(ctx context.Context, access *clientcmdapi.Config, needs rights.Rights) (string, error) {
	config, err := clientcmd.NewDefaultClientConfig(*access, nil).ClientConfig()
	if err != nil {
		return "", err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), rbacv1.AddToScheme(scheme), authenticationv1.AddToScheme(scheme)); err != nil {
		return "", err
	}
	kubernetes, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return "", err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: needs.Name()}}
	subject := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: Namespace, Name: needs.Name()}
	for _, obj := range append([]client.Object{account.DeepCopy()}, needs.Objects(needs.Name(), subject)...) {
		if err := kubernetes.Create(ctx, obj); err != nil && !apierrors.IsAlreadyExists(err) {
			return "", fmt.Errorf("create %T %s: %w", obj, client.ObjectKeyFromObject(obj), err)
		}
	}
	seconds := int64(tokenTTL.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	if err := kubernetes.SubResource("token").Create(ctx, account, request); err != nil {
		return "", fmt.Errorf("make a token of ServiceAccount %s: %w", needs.Name(), err)
	}
	return request.Status.Token, nil
}

// User is who the operator is for the API server; it is empty when that is whoever started it.
func (o *Operator) User() string {
	if o.account == "" {
		return ""
	}
	return "system:serviceaccount:" + Namespace + ":" + o.account
}

// refused finds what the operator was not allowed to do in what it has logged.
var refused = regexp.MustCompile(`User \\?"system:serviceaccount:` + Namespace + `:ocm-operator-[0-9a-f]+\\?" cannot [^:]*`)

// Refused returns what the API server has refused the operator for want of rights, as its log tells.
func (o *Operator) Refused() ([]string, error) {
	if o.account == "" {
		return nil, nil
	}
	log, err := os.ReadFile(o.LogFile())
	if err != nil {
		return nil, fmt.Errorf("read the operator's log: %w", err)
	}
	found := refused.FindAllString(string(log), -1)
	slices.Sort(found)
	return slices.Compact(found), nil
}

// checkRights returns an error if the operator lacked rights: then a marker +kubebuilder:rbac lacks in its code.
func (o *Operator) checkRights() error {
	found, err := o.Refused()
	if err != nil || len(found) == 0 {
		return err
	}
	return fmt.Errorf("the operator lacks rights that no marker +kubebuilder:rbac asks for (see %s):\n%s", o.LogFile(), strings.Join(found, "\n"))
}
