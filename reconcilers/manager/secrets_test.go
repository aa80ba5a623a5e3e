package manager_test

import (
	"bytes"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
)

// restrict lets the operator be a user who may do with Secrets what is said, beside everything else that it needs.
func (o *operator) restrict(secrets ...string) {
	o.t.Helper()
	user := "operator-of-" + o.namespace
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: secrets},
		{APIGroups: []string{""}, Resources: []string{"configmaps", "serviceaccounts"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
		{APIGroups: []string{"apiextensions.k8s.io"}, Resources: []string{"customresourcedefinitions"}, Verbs: []string{"get", "list", "watch"}},
		{
			APIGroups: []string{v1alpha1.GroupVersion.Group, "source.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"},
			Resources: []string{"*"}, Verbs: []string{"*"},
		},
	}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	for _, obj := range []client.Object{role, binding} {
		if err := o.Create(o.t.Context(), obj); err != nil {
			o.t.Fatal(err)
		}
	}
	access := rest.CopyConfig(clustertest.APIServer(o.t))
	access.Impersonate = rest.ImpersonationConfig{UserName: user}
	o.wire = newWire(o.t, access)
	o.t.Setenv("KUBECONFIG", o.wire.kubeconfig)
}

// valuesSecret is a Secret with values of a Configuration.
func valuesSecret(color string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "values"}, Data: map[string][]byte{"values": []byte("color: " + color)}}
}

// TestSecretsByName runs the operator as somebody who may neither list nor watch Secrets. Intervals don't end within the test, so what a Secret
// changes was noticed by looking at it.
func TestSecretsByName(t *testing.T) {
	o := newOperator(t)
	o.restrict("get", "create", "update", "delete")
	o.run()
	o.release("1.0.0")
	p := o.newPipeline("app")
	p.configuration.Spec.ValuesFrom = &v1alpha1.ValuesSource{SecretSource: &v1alpha1.SecretSource{
		SourceRef: meta.LocalObjectReference{Name: "values"}, Key: "values",
	}}
	o.create(p.objects()...)

	o.says(p.component, "Stalled", "True "+v1alpha1.AuthenticatedContextCreationFailedReason)
	login := secret("login")
	o.create(login) // a missing Secret
	o.says(p.component, "Ready", "True Succeeded")
	o.says(p.configuration, "Reconciling", "True "+v1alpha1.ValuesNotReadyReason)
	values := valuesSecret("blue")
	o.create(values)
	o.arrives(p.chain, "1.0.0", "blue")
	o.change(values, func() { values.Data = valuesSecret("green").Data })
	o.arrives(p.chain, "1.0.0", "green")

	o.change(login, func() { login.Data = nil; login.StringData = map[string]string{"username": user} }) // a Secret that is broken, and repaired
	o.says(p.component, "Stalled", "True "+v1alpha1.AuthenticatedContextCreationFailedReason)
	o.change(login, func() { login.StringData = map[string]string{"password": password} })
	o.says(p.component, "Ready", "True Succeeded")

	named := metav1.ObjectMeta{Name: "puller"} // a pull Secret of a ServiceAccount
	o.create(&corev1.ServiceAccount{ObjectMeta: named, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull"}}})
	o.change(p.component, func() { p.component.Spec.Repository.SecretRef, p.component.Spec.ServiceAccountName = nil, "puller" })
	o.says(p.component, "Stalled", "True "+v1alpha1.AuthenticatedContextCreationFailedReason)
	host := bytes.TrimPrefix([]byte(o.source.URL), []byte("http://"))
	o.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "pull"}, StringData: map[string]string{
		corev1.DockerConfigJsonKey: `{"auths":{"http://` + string(host) + `":{"username":"` + user + `","password":"` + password + `"}}}`,
	}})
	o.says(p.component, "Ready", "True Succeeded")

	o.eventually("the pipeline is deployed", func() bool { return o.deployed(p) })
	pull := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: "app-registry-pull"}}
	o.replaced(pull)
	o.replaced(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: "app-registry-ca"}})

	if err := o.Get(t.Context(), client.ObjectKeyFromObject(pull), pull); err != nil {
		t.Fatal(err)
	}
	sealed := bytes.Clone(pull.Data[corev1.DockerConfigJsonKey])
	key := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: "ocm-registry-key"}}
	o.change(key, func() { key.Annotations = map[string]string{"delivery.ocm.software/rotate": "key"} })
	o.eventually("Flux gets a credential that is sealed with the new key", func() bool {
		return o.Get(t.Context(), client.ObjectKeyFromObject(pull), pull) == nil && !bytes.Equal(pull.Data[corev1.DockerConfigJsonKey], sealed)
	})
	if n := o.wire.lists(); n > 0 {
		t.Errorf("Secrets were listed or watched %d times", n)
	}
}

// TestWatchedSecretsWake never looks at Secrets, but watches them.
func TestWatchedSecretsWake(t *testing.T) {
	const label, value = "reconcile.fluxcd.io/watch", "Enabled"
	for name, tc := range map[string]struct {
		args   []string
		labels map[string]string
	}{
		"with a label": {[]string{"--watch-secrets"}, map[string]string{label: value}},
		"all":          {[]string{"--watch-secrets", "--watch-secrets-label-selector="}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t)
			o.restrict("get", "create", "update", "delete", "list", "watch")
			o.args = append([]string{"--secret-check-interval=1h"}, tc.args...)
			o.run()
			o.release("1.0.0")
			c := o.newChain()
			o.create(c.component)
			o.says(c.component, "Stalled", "True "+v1alpha1.AuthenticatedContextCreationFailedReason)
			login := secret("login")
			login.Labels = tc.labels
			o.create(login)
			o.says(c.component, "Ready", "True Succeeded")
			o.change(login, func() { login.Data = nil; login.StringData = map[string]string{"username": user} })
			o.says(c.component, "Stalled", "True "+v1alpha1.AuthenticatedContextCreationFailedReason)
			o.change(login, func() { login.StringData = map[string]string{"password": password} })
			o.says(c.component, "Ready", "True Succeeded")
			if err := o.Delete(t.Context(), login); err != nil {
				t.Fatal(err)
			}
			o.says(c.component, "Stalled", "True "+v1alpha1.AuthenticatedContextCreationFailedReason)
			if o.wire.lists() == 0 {
				t.Error("Secrets are not watched")
			}
		})
	}
}
