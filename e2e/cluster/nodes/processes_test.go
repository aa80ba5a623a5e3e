package nodes

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestContains(t *testing.T) {
	t.Parallel()
	const pod = "4ab7a1a2-0d0f-4a4c-9d0e-57f3a9f6c6a1"
	const first = "9:name=systemd:/ocm-operator-nodes/node-1/kubepods/besteffort/pod" + pod + "/0123\n"
	for name, tc := range map[string]struct {
		reason string
		groups string
		pod    types.UID
		want   bool
	}{
		"a daemon":             {reason: "it is on the node", groups: "4:memory:/ocm-operator-nodes/node-1/system\n", want: true},
		"a daemon and a pod":   {reason: "it is in none", groups: "4:memory:/ocm-operator-nodes/node-1/system\n", pod: pod},
		"a container":          {reason: "what is in a pod is on the node", groups: first, want: true},
		"a container of a pod": {reason: "it is in this one", groups: first, pod: pod, want: true},
		"another pod":          {reason: "it has another UID", groups: first, pod: types.UID(pod[1:])},
		"second version":       {reason: "there is one line", groups: "0::/ocm-operator-nodes/node-1/kubepods/pod" + pod + "/0123\n", pod: pod, want: true},
		"not all hierarchies":  {reason: "one of them says it", groups: "11:rdma:/\n" + first, pod: pod, want: true},
		"another node":         {reason: "its name only begins like that", groups: "0::/ocm-operator-nodes/node-10/system\n"},
		"inside a container":   {reason: "its groups may be seen from outside", groups: "0::/docker/0123/ocm-operator-nodes/node-1/system\n", want: true},
		"some know of the pod": {
			reason: "the runtime leaves one hierarchy as it is",
			groups: "9:name=systemd:/ocm-operator-nodes/node-1/system\n" + first, pod: pod, want: true,
		},
		"the machine": {reason: "it is on no node", groups: "0::/user.slice\n"},
	} {
		if got := (&Node{Name: "node-1"}).contains(tc.groups, tc.pod); got != tc.want {
			t.Errorf("%s: got %t, want %t: %s", name, got, tc.want, tc.reason)
		}
	}
}
