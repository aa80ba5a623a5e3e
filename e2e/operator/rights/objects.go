package rights

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Name returns a name that no other rights have.
func (r Rights) Name() string {
	sum := sha256.New()
	for _, right := range r.all {
		fmt.Fprintln(sum, right)
	}
	return "ocm-operator-" + hex.EncodeToString(sum.Sum(nil))[:10]
}

// Objects returns roles and bindings of a name that give the rights to somebody.
func (r Rights) Objects(name string, subject rbacv1.Subject) []client.Object {
	byNamespace := map[string][]Right{}
	var namespaces []string
	for _, right := range r.all {
		if byNamespace[right.Namespace] == nil {
			namespaces = append(namespaces, right.Namespace)
		}
		byNamespace[right.Namespace] = append(byNamespace[right.Namespace], right)
	}
	var objects []client.Object
	for _, namespace := range namespaces {
		meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name}
		rules, subjects := rulesOf(byNamespace[namespace]), []rbacv1.Subject{subject}
		if namespace == "" {
			ref.Kind = "ClusterRole"
			objects = append(objects, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects})
			continue
		}
		objects = append(objects, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects})
	}
	return objects
}
