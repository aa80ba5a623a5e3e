package patch

import (
	"maps"
	"slices"
	"strings"
)

// pods are where the kinds of Kubernetes have a pod.
var pods = map[string]string{
	"/Pod":                   "spec",
	"/PodTemplate":           "template.spec",
	"/ReplicationController": "spec.template.spec",
	"apps/DaemonSet":         "spec.template.spec",
	"apps/Deployment":        "spec.template.spec",
	"apps/ReplicaSet":        "spec.template.spec",
	"apps/StatefulSet":       "spec.template.spec",
	"batch/Job":              "spec.template.spec",
	"batch/CronJob":          "spec.jobTemplate.spec.template.spec",
}

// podLists are the lists of a pod that merge, with the keys of their elements.
var podLists = map[string][]string{
	"hostAliases":               {"ip"},
	"imagePullSecrets":          {"name"},
	"resourceClaims":            {"name"},
	"schedulingGates":           {"name"},
	"topologySpreadConstraints": {"topologyKey", "whenUnsatisfiable"},
	"volumes":                   {"name"},
}

// containerLists are those of each container.
var containerLists = map[string][]string{
	"env":           {"name"},
	"ports":         {"containerPort", "protocol"},
	"volumeDevices": {"devicePath"},
	"volumeMounts":  {"mountPath"},
}

// otherLists are those of other kinds.
var otherLists = map[string]map[string][]string{
	"/Service":        {"spec.ports": {"port", "protocol"}},
	"/ServiceAccount": {"secrets": {"name"}},
	"/Node":           {"spec.podCIDRs": nil},
	"admissionregistration.k8s.io/MutatingWebhookConfiguration": {
		"webhooks": {"name"}, "webhooks[].matchConditions": {"name"},
	},
	"admissionregistration.k8s.io/ValidatingWebhookConfiguration": {
		"webhooks": {"name"}, "webhooks[].matchConditions": {"name"},
	},
	"admissionregistration.k8s.io/MutatingAdmissionPolicy": {"spec.matchConditions": {"name"}},
	"admissionregistration.k8s.io/ValidatingAdmissionPolicy": {
		"spec.matchConditions": {"name"}, "spec.variables": {"name"},
	},
	"storage.k8s.io/CSINode": {"spec.drivers": {"name"}},
}

// builtin are the groups that Kubernetes itself has, without their ".k8s.io".
var builtin = []string{
	"", "admissionregistration", "apiextensions", "apiregistration", "apps", "authentication", "authorization", "autoscaling", "batch", "certificates",
	"coordination", "discovery", "events", "extensions", "flowcontrol.apiserver", "networking", "node", "policy", "rbac.authorization", "resource", "scheduling", "storage",
}

// listsOf returns the lists of a kind that merge, by their paths. Those without keys are of scalars. A
// status is not merged: nobody but its controller writes it.
func listsOf(apiVersion, kind string) map[string][]string {
	group, _, found := strings.Cut(apiVersion, "/")
	if !found {
		group = ""
	}
	lists := map[string][]string{}
	if slices.Contains(builtin, strings.TrimSuffix(group, ".k8s.io")) {
		lists["metadata.finalizers"] = nil
		lists["metadata.ownerReferences"] = []string{"uid"}
	}
	maps.Copy(lists, otherLists[group+"/"+kind])
	pod, ok := pods[group+"/"+kind]
	if !ok {
		return lists
	}
	for list, keys := range podLists {
		lists[pod+"."+list] = keys
	}
	for _, containers := range []string{"containers", "initContainers", "ephemeralContainers"} {
		at := pod + "." + containers
		lists[at] = []string{"name"}
		for list, keys := range containerLists {
			lists[at+"[]."+list] = keys
		}
	}
	return lists
}
