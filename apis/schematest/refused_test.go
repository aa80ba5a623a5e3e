package schematest

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

const manifest = `apiVersion: delivery.ocm.software/v1alpha1
kind: %s
metadata:
  name: test
  namespace: default
spec:
%s`

func componentVersion(change map[string]string) string {
	lines := map[string]string{
		"interval": "10m", "component": "acme.org/app", "version": `{semver: ">=1.0.0"}`, "repository": "{url: ghcr.io/acme}",
	}
	return render("ComponentVersion", lines, change)
}

func subscription(change map[string]string) string {
	lines := map[string]string{"interval": "10m", "component": "acme.org/app", "source": "{url: ghcr.io/acme}", "destination": "{url: registry.example.com/mirror}"}
	return render("ComponentSubscription", lines, change)
}

func mutation(change map[string]string) string {
	lines := map[string]string{
		"interval": "10m", "sourceRef": "{kind: Resource, name: manifests}",
		"configRef": "{kind: ComponentVersion, name: app, resourceRef: {name: config}}",
	}
	return render("Configuration", lines, change)
}

func deployer(change map[string]string) string {
	return render("FluxDeployer", map[string]string{"interval": "10m", "sourceRef": "{kind: Resource, name: manifests}"}, change)
}

func gitSync(change map[string]string) string {
	lines := map[string]string{
		"interval": "10m", "sourceRef": "{kind: Configuration, name: app}", "repository": "{url: https://git.example.com/acme/fleet, provider: github}",
		"commitTemplate": "{name: ocm, email: ocm@acme.org}",
	}
	return render("GitSync", lines, change)
}

// render writes the manifest with the lines changed; an empty line is left out.
func render(kind string, lines, change map[string]string) string {
	maps.Copy(lines, change)
	var spec strings.Builder
	for key, value := range lines {
		if value != "" {
			fmt.Fprintf(&spec, "  %s: %s\n", key, value)
		}
	}
	return fmt.Sprintf(manifest, kind, spec.String())
}

func TestManifestsAreRefused(t *testing.T) {
	t.Parallel()
	type change = map[string]string
	const (
		configMap = "{configMapSource: {sourceRef: {name: settings}, key: values.yaml}}"
		twoPlaces = "[{configMapSource: {sourceRef: {name: a}, key: b}, secretSource: {sourceRef: {name: a}, key: b}}]"
	)
	tests := map[string]struct{ reason, manifest, field, message string }{
		"no interval":        {"an object without an interval would never be looked at again", componentVersion(change{"interval": ""}), "spec.interval", "Required value"},
		"interval zero":      {"zero never was a useful interval", componentVersion(change{"interval": "0s"}), "spec.interval", "use suspend to stop reconciling"},
		"interval negative":  {"time does not run backwards", deployer(change{"interval": "-5m"}), "spec.interval", "for example 10m0s"},
		"interval no unit":   {"a number without unit would break every client that reads the object", mutation(change{"interval": `"10"`}), "spec.interval", "a number with a unit"},
		"interval in days":   {"Go knows no days", mutation(change{"interval": "1d"}), "spec.interval", "a number with a unit"},
		"retry interval":     {"the same holds for the retry interval", mutation(change{"retryInterval": "0m"}), "spec.retryInterval", "leave it out"},
		"timeout":            {"the same holds for the timeout", mutation(change{"timeout": "-1s"}), "spec.timeout", "leave it out"},
		"no component":       {"there is nothing to follow", componentVersion(change{"component": ""}), "spec.component", "Required value"},
		"no semver":          {"no constraint is no version", componentVersion(change{"version": "{}"}), "spec.version", "version.semver is empty"},
		"empty semver":       {"an empty constraint cannot be parsed", componentVersion(change{"version": `{semver: "  "}`}), "spec.version", `"*" takes any version`},
		"no repository":      {"there is no place to read from", componentVersion(change{"repository": "{}"}), "spec.repository.url", "Required value"},
		"no destination url": {"there is no place to write to", componentVersion(change{"destination": "{secretRef: {name: a}}"}), "spec.destination.url", "Required value"},
		"two log-ins":        {"it would not be seen who logs in", componentVersion(change{"repository": "{url: a.example, provider: aws, secretRef: {name: a}}"}), "spec.repository", "remove secretRef to log in"},
		"other provider":     {"there is no such cloud", componentVersion(change{"repository": "{url: a.example, provider: alibaba}"}), "spec.repository.provider", "Unsupported value"},
		"other mapping":      {"there is no such mapping", componentVersion(change{"repository": "{url: a.example, componentNameMapping: md5}"}), "spec.repository.componentNameMapping", "Unsupported value"},
		"digest destination": {"nobody should write what few can read", componentVersion(change{"destination": "{url: a.example, componentNameMapping: sha256-digest}"}), "spec", "is read only"},
		"no key":             {"a signature without a key cannot be checked", componentVersion(change{"verify": "[{name: a, publicKey: {}}]"}), "spec.verify[0].publicKey", "set secretRef.name"},
		"empty key":          {"an empty key is no key", componentVersion(change{"verify": `[{name: a, publicKey: {value: ""}}]`}), "spec.verify[0].publicKey", "or set value"},
		"no signature name":  {"a key without a signature checks nothing", componentVersion(change{"verify": "[{publicKey: {value: YQ==}}]"}), "spec.verify[0].name", "Required value"},

		"no subscribed component": {"there is nothing to replicate", subscription(change{"component": ""}), "spec.component", "Required value"},
		"no source":               {"there is no place to read from", subscription(change{"source": ""}), "spec.source", "Required value"},
		"no source url":           {"there is no place to read from", subscription(change{"source": "{}"}), "spec.source.url", "Required value"},
		"subscription interval":   {"it would never be looked at again", subscription(change{"interval": "0s"}), "spec.interval", "use suspend"},
		"written digest mapping":  {"nobody should write what few can read", subscription(change{"destination": "{url: a.example, componentNameMapping: sha256-digest}"}), "spec", "is read only"},
		"limit of one":            {"a limit without all would do nothing", subscription(change{"limit": "5"}), "spec", "versions: all"},
		"limit of latest":         {"a limit of the latest would do nothing", subscription(change{"versions": "latest", "limit": "5"}), "spec", "or remove limit"},
		"no versions":             {"nothing would be replicated", subscription(change{"versions": "all", "limit": "0"}), "spec.limit", "greater than or equal to 1"},
		"too many versions":       {"the status has to hold them", subscription(change{"versions": "all", "limit": "2001"}), "spec.limit", "less than or equal to 2000"},
		"other versions":          {"there is no such choice", subscription(change{"versions": "newest"}), "spec.versions", "Unsupported value"},
		"other downgrade":         {"there is no such policy", subscription(change{"downgradePolicy": "Never"}), "spec.downgradePolicy", "Unsupported value"},
		"other overwrite":         {"there is no such policy", subscription(change{"overwritePolicy": "Force"}), "spec.overwritePolicy", "Unsupported value"},
		"other drift mode":        {"there is no such mode", subscription(change{"driftDetection": "{mode: repair}"}), "spec.driftDetection.mode", "Unsupported value"},
		"other resources":         {"there is no such choice", subscription(change{"transfer": "{resources: Remote}"}), "spec.transfer.resources", "Unsupported value"},
		"other artifacts":         {"there is no such choice", subscription(change{"transfer": "{artifacts: Packed}"}), "spec.transfer.artifacts", "Unsupported value"},
		"both forms":              {"it would not be seen which one holds", subscription(change{"verify": "[{name: a, publicKey: {value: YQ==}, signature: {name: a, key: {name: b}}}]"}), "spec.verify[0]", "one of two forms"},
		"neither form":            {"nothing would be checked", subscription(change{"verify": "[{publicKey: {value: YQ==}}]"}), "spec.verify[0]", "one of two forms"},
		"form with another key":   {"it would not be seen which key holds", subscription(change{"verify": "[{publicKey: {value: YQ==}, signature: {name: a, key: {name: b}}}]"}), "spec.verify[0]", "has neither"},
		"signature without key":   {"a signature without a key cannot be checked", subscription(change{"verify": "[{signature: {name: a}}]"}), "spec.verify[0].signature.key", "Required value"},
		"name without key":        {"a signature without a key cannot be checked", subscription(change{"verify": "[{name: a}]"}), "spec.verify[0]", "publicKey or with a certificate"},

		"nothing to do":      {"a mutation that changes nothing is a mistake", mutation(change{"configRef": ""}), "spec", "there is nothing to do"},
		"values twice":       {"it would not be seen which values hold", mutation(change{"values": "{a: 1}", "valuesFrom": configMap}), "spec", "exclude each other"},
		"values and list":    {"it would not be seen which values hold", mutation(change{"values": "{a: 1}", "valuesSources": "[" + configMap + "]"}), "spec", "exclude each other"},
		"from and list":      {"it would not be seen in which order they are merged", mutation(change{"valuesFrom": configMap, "valuesSources": "[" + configMap + "]"}), "spec", "list them in valuesSources"},
		"values no object":   {"rules refer to values by name", mutation(change{"values": "[1]"}), "spec.values", "must be of type object"},
		"empty valuesFrom":   {"no place is no values", mutation(change{"valuesFrom": "{}"}), "spec.valuesFrom", "set one of fluxSource"},
		"empty list":         {"no place is no values", mutation(change{"valuesSources": "[]"}), "spec.valuesSources", "at least 1 items"},
		"entry of two":       {"the order within an entry would not be seen", mutation(change{"valuesSources": twoPlaces}), "spec.valuesSources[0]", "its own entry"},
		"entry of none":      {"no place is no values", mutation(change{"valuesSources": "[{}]"}), "spec.valuesSources[0]", "set one of fluxSource"},
		"no source kind":     {"only a Resource knows what is meant without", mutation(change{"sourceRef": "{name: a}"}), "spec.sourceRef", "sourceRef.kind is missing"},
		"no config kind":     {"only a Resource knows what is meant without", mutation(change{"configRef": "{name: a}"}), "spec.configRef", "configRef.kind is missing"},
		"no source name":     {"a reference needs a name", mutation(change{"sourceRef": "{kind: Resource}"}), "spec.sourceRef.name", "Required value"},
		"no values kind":     {"only a Resource knows what is meant without", mutation(change{"valuesFrom": "{sourceRef: {name: a}}"}), "spec.valuesFrom.sourceRef", "sourceRef.kind is missing"},
		"foreign source":     {"values are read from sources only", mutation(change{"valuesFrom": "{fluxSource: {sourceRef: {kind: Kustomization, name: a}, path: b}}"}), "spec.valuesFrom.fluxSource.sourceRef", "one of GitRepository"},
		"no path of values":  {"a source has many files", mutation(change{"valuesFrom": "{fluxSource: {sourceRef: {kind: Bucket, name: a}}}"}), "spec.valuesFrom.fluxSource.path", "Required value"},
		"no key of values":   {"a ConfigMap has many keys", mutation(change{"valuesFrom": "{configMapSource: {sourceRef: {name: a}}}"}), "spec.valuesFrom.configMapSource.key", "Required value"},
		"no target of patch": {"a patch needs a file", mutation(change{"patchStrategicMerge": "{source: {sourceRef: {kind: GitRepository, name: a}, path: b}}"}), "spec.patchStrategicMerge.target", "Required value"},

		"both templates":   {"one FluxDeployer makes one object", deployer(change{"kustomizationTemplate": "{path: ./}", "helmReleaseTemplate": "{}"}), "spec", "use a second FluxDeployer"},
		"template no spec": {"a template is the spec of an object", deployer(change{"kustomizationTemplate": "text"}), "spec.kustomizationTemplate", "must be of type object"},
		"deployer no kind": {"only a Resource knows what is meant without", deployer(change{"sourceRef": "{name: a}"}), "spec.sourceRef", "sourceRef.kind is missing"},

		"no content":             {"there is nothing to push", gitSync(change{"sourceRef": ""}), "spec", "set sourceRef or snapshotRef"},
		"two contents":           {"it would not be seen which one is pushed", gitSync(change{"snapshotRef": "{name: a}"}), "spec", "and not both"},
		"sync source no kind":    {"only a Resource knows what is meant without", gitSync(change{"sourceRef": "{name: a}"}), "spec.sourceRef", "sourceRef.kind is missing"},
		"sync interval":          {"it would never be looked at again", gitSync(change{"interval": "0s"}), "spec.interval", "use suspend"},
		"no git repository":      {"there is no place to push to", gitSync(change{"repository": ""}), "spec.repository", "Required value"},
		"no git url":             {"there is no place to push to", gitSync(change{"repository": "{provider: github}"}), "spec.repository.url", "Required value"},
		"password in url":        {"whoever may read the object would read the password", gitSync(change{"repository": "{url: 'https://me:secret@git.example.com/a'}"}), "spec.repository.url", "belong in the Secret"},
		"user in url":            {"a token is often written as a user", gitSync(change{"repository": "{url: 'https://token@git.example.com/a'}"}), "spec.repository.url", "belong in the Secret"},
		"password in ssh url":    {"the same holds for SSH", gitSync(change{"repository": "{url: 'ssh://git:secret@git.example.com/a'}"}), "spec.repository.url", "ssh://user@host/path"},
		"host without path":      {"a host is no repository", gitSync(change{"repository": "{url: 'https://git.example.com'}"}), "spec.repository.url", "https://host/path"},
		"file url":               {"files of the operator are nobody's repository", gitSync(change{"repository": "{url: 'file:///etc/repo.git'}"}), "spec.repository.url", "https://host/path"},
		"plain path":             {"the same, in another spelling", gitSync(change{"repository": "{url: /etc/repo.git}"}), "spec.repository.url", "https://host/path"},
		"git protocol":           {"it has neither log-in nor encryption", gitSync(change{"repository": "{url: 'git://git.example.com/a'}"}), "spec.repository.url", "https://host/path"},
		"remote helper":          {"git would run a program", gitSync(change{"repository": "{url: 'ext::sh -c id'}"}), "spec.repository.url", "https://host/path"},
		"url with option":        {"a host is no option of a program", gitSync(change{"repository": "{url: '--upload-pack=id git.example.com:a'}"}), "spec.repository.url", "https://host/path"},
		"other forge":            {"there is no such forge", gitSync(change{"repository": "{url: 'https://git.example.com/a', provider: bitbucket}"}), "spec.repository.provider", "Unsupported value"},
		"api of another scheme":  {"an API is asked over HTTP", gitSync(change{"repository": "{url: 'https://git.example.com/a', apiURL: 'ssh://git.example.com'}"}), "spec.repository.apiURL", "apiURL must be"},
		"password in api":        {"whoever may read the object would read the password", gitSync(change{"repository": "{url: 'https://git.example.com/a', apiURL: 'https://a:b@git.example.com/'}"}), "spec.repository.apiURL", "without user and password"},
		"absolute path":          {"a repository has a root of its own", gitSync(change{"subPath": "/etc"}), "spec.subPath", "relative path"},
		"path out of it":         {"nothing is written outside of the repository", gitSync(change{"subPath": "../.."}), "spec.subPath", "without .."},
		"path out and in":        {"what leads out is refused wherever it leads", gitSync(change{"subPath": "a/../../b"}), "spec.subPath", "without .."},
		"other conflict policy":  {"there is no such policy", gitSync(change{"conflictPolicy": "Force"}), "spec.conflictPolicy", "Unsupported value"},
		"no author":              {"a commit has an author", gitSync(change{"commitTemplate": "{email: ocm@acme.org}"}), "spec.commitTemplate.name", "Required value"},
		"no address":             {"an author has an address", gitSync(change{"commitTemplate": "{name: ocm}"}), "spec.commitTemplate.email", "Required value"},
		"empty author":           {"git refuses commits of nobody", gitSync(change{"commitTemplate": `{name: "", email: ocm@acme.org}`}), "spec.commitTemplate.name", "at least 1 chars"},
		"signing without a key":  {"nothing would be signed with", gitSync(change{"commitTemplate": "{name: a, email: b, signing: {}}"}), "spec.commitTemplate.signing.secretRef", "Required value"},
		"proposal without forge": {"any git server has no pull requests", gitSync(change{"repository": "{url: 'https://git.example.com/a'}", "automaticPullRequestCreation": "true"}), "spec", "needs a forge"},
		"proposal to git":        {"the same, when it is written", gitSync(change{"repository": "{url: 'https://git.example.com/a', provider: git}", "automaticPullRequestCreation": "true"}), "spec", "needs a forge"},
		"template of nothing":    {"it would do nothing", gitSync(change{"pullRequestTemplate": "{title: a}"}), "spec", "set automaticPullRequestCreation to true"},
		"proposal to itself": {
			"a branch cannot be merged into itself",
			gitSync(change{"automaticPullRequestCreation": "true", "commitTemplate": "{name: a, email: b, targetBranch: main}"}), "spec", "set commitTemplate.targetBranch to another branch",
		},
		"proposal to its base": {
			"the same, for a base that is written",
			gitSync(change{"automaticPullRequestCreation": "true", "commitTemplate": "{name: a, email: b, baseBranch: c, targetBranch: c}"}), "spec", "set commitTemplate.targetBranch to another branch",
		},
		"proposal to its head": {
			"the same, for a base of the pull request alone",
			gitSync(change{"automaticPullRequestCreation": "true", "pullRequestTemplate": "{base: c}", "commitTemplate": "{name: a, email: b, targetBranch: c}"}), "spec", "set pullRequestTemplate.base to another branch",
		},
		"empty label": {"forges refuse it", gitSync(change{"automaticPullRequestCreation": "true", "pullRequestTemplate": `{labels: [""]}`}), "spec.pullRequestTemplate.labels[0]", "at least 1 chars"},
		"label twice": {"a label is there or not", gitSync(change{"automaticPullRequestCreation": "true", "pullRequestTemplate": "{labels: [a, a]}"}), "spec.pullRequestTemplate.labels[1]", "Duplicate value"},

		"resource of nothing": {"there is nothing to take", render("Resource", change{"interval": "10m", "sourceRef": "{name: app}"}, nil), "spec.sourceRef", "name the resource of the component"},
		"source is itself":    {"it would wait for itself for ever", mutation(change{"sourceRef": "{kind: Configuration, name: test}"}), "<nil>", "names the Configuration itself"},

		"access without type": {"nobody can use it", render("ComponentDescriptor", change{"version": "1.0.0", "resources": "[{name: a, version: 1.0.0, type: blob, access: {}}]"}, nil), "spec.resources[0].access.type", "Required value"},
		"snapshot no digest":  {"a Snapshot stands for content by its digest", render("Snapshot", change{"identity": "{}", "tag": "a"}, nil), "spec.digest", "Required value"},
	}
	known := load(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := known.admit(t, manifests(t, []byte(tt.manifest))[0])
			for _, problem := range problems {
				if problem.Field == tt.field && strings.Contains(problem.Error(), tt.message) {
					return
				}
			}
			t.Errorf("%s: got %v, want a problem at %s that says %q", tt.reason, problems, tt.field, tt.message)
		})
	}
}

// TestUnknownFieldsArePruned shows what the API server does with a misspelt field, and that the fields which hold foreign data are exempt.
func TestUnknownFieldsArePruned(t *testing.T) {
	t.Parallel()
	known := load(t)
	pruned, problems := known.admit(t, manifests(t, []byte(deployer(map[string]string{
		"kustomizationTemplate": "{path: ./, aFieldOfTomorrow: {a: 1}}", "waitForRedy": "true",
	})))[0])
	if len(problems) > 0 {
		t.Error(problems)
	}
	if len(pruned) != 1 || pruned[0] != "spec.waitForRedy" {
		t.Errorf("got %v pruned, want the misspelt field only", pruned)
	}
}
