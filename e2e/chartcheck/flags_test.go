package chartcheck

import (
	"io"
	"net"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

// TestOperatorTakesArguments parses what the pod of each scenario gives to the operator as the operator does, with its bounds.
func TestOperatorTakesArguments(t *testing.T) {
	t.Parallel()
	for name, file := range scenarios(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := operatorPod(t, mustRender(t, "--values", file))
			o, err := options.Parse(pod.Containers[0].Args, "", "", io.Discard)
			if err != nil {
				t.Fatalf("the operator refuses its arguments: %v", err)
			}
			for _, port := range pod.Containers[0].Ports {
				if listens := listening(t, o)[port.Name]; listens != port.ContainerPort {
					t.Errorf("port %s is %d, and the operator listens on %d", port.Name, port.ContainerPort, listens)
				}
			}
			for folder, used := range map[string]bool{o.Registry.Dir: !o.External.Used(), o.Archives.Dir: o.Archives.Dir != "", "/tmp": true} {
				if used && !mounted(pod, folder) {
					t.Errorf("the operator uses %s, and nothing is mounted there", folder)
				}
			}
		})
	}
}

// operatorPod is what the Deployment or the StatefulSet has.
func operatorPod(t *testing.T, objects []*unstructured.Unstructured) corev1.PodSpec {
	t.Helper()
	for _, obj := range objects {
		if obj.GetKind() != "Deployment" && obj.GetKind() != "StatefulSet" {
			continue
		}
		template, _, err := unstructured.NestedMap(obj.Object, "spec", "template")
		if err != nil {
			t.Fatal(err)
		}
		pod := corev1.PodTemplateSpec{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod); err != nil {
			t.Fatal(err)
		}
		return pod.Spec
	}
	t.Fatal("the chart renders no workload")
	return corev1.PodSpec{}
}

// listening tells by the name of a port on which one the operator listens.
func listening(t *testing.T, o *options.Options) map[string]int32 {
	t.Helper()
	found := map[string]int32{}
	for name, address := range map[string]string{
		"registry": o.Registry.Listen, "artifacts": o.Registry.ArtifactListen, "metrics": o.MetricsAddr, "health": o.HealthAddr,
	} {
		if address == "0" {
			continue
		}
		resolved, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = int32(resolved.Port)
	}
	return found
}

func mounted(pod corev1.PodSpec, folder string) bool {
	for _, mount := range pod.Containers[0].VolumeMounts {
		if mount.MountPath == folder {
			return true
		}
	}
	return false
}
