package clustertest_test

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

func TestAssetsHaveWhatEnvtestNeeds(t *testing.T) {
	t.Parallel()
	dir := clustertest.Assets(t)
	for _, name := range []string{"kube-apiserver", "etcd", "kubectl"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s is no program: %v", name, err)
		}
	}
}

func TestAPIServerIsSharedAndWorks(t *testing.T) {
	t.Parallel()
	config := clustertest.APIServer(t)
	if again := clustertest.APIServer(t); again.Host != config.Host {
		t.Errorf("second call: %s, first call: %s; want the same server", again.Host, config.Host)
	}
	kubernetes, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	first, second := clustertest.Namespace(t, config), clustertest.Namespace(t, config)
	if first == second {
		t.Errorf("both namespaces are called %s", first)
	}
	// Without service accounts the admission plugin of that name must not stand in the way of pods.
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "example", Namespace: first},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.com/image"}}},
	}
	if err := kubernetes.Create(t.Context(), pod); err != nil {
		t.Errorf("create pod: %v", err)
	}
}
