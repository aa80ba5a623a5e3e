package mutation_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

func configMap(name, key, text string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: reconcilertest.Named(name), Data: map[string]string{key: text}}
}

func secret(name, key, text string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: reconcilertest.Named(name), Data: map[string][]byte{key: []byte(text)}}
}

func fromConfigMap(name, subPath string, optional bool) v1alpha1.ValuesSource {
	return v1alpha1.ValuesSource{ConfigMapSource: &v1alpha1.ConfigMapSource{
		SourceRef: meta.LocalObjectReference{Name: name}, Key: "values", SubPath: subPath, Optional: optional,
	}}
}

func fromSecret(name string) v1alpha1.ValuesSource {
	return v1alpha1.ValuesSource{SecretSource: &v1alpha1.SecretSource{SourceRef: meta.LocalObjectReference{Name: name}, Key: "values"}}
}

func sources(all ...v1alpha1.ValuesSource) func(*v1alpha1.MutationSpec) {
	return func(spec *v1alpha1.MutationSpec) { spec.ValuesSources = all }
}

func TestValues(t *testing.T) {
	t.Parallel()
	component := reconcilertest.FromComponent("app", "values")
	for name, tc := range map[string]struct {
		change         func(*v1alpha1.MutationSpec)
		replicas, a, b string
		reason         string
	}{
		"none":              {nil, "2", "1", "2", "the defaults are enough"},
		"inline":            {inline(`{"replicas":3}`), "3", "1", "2", "values win over defaults"},
		"merged in depth":   {inline(`{"nested":{"a":5}}`), "2", "5", "2", "maps are merged key by key"},
		"ConfigMap":         {func(s *v1alpha1.MutationSpec) { from := fromConfigMap("map", "", false); s.ValuesFrom = &from }, "4", "1", "2", "a key of a ConfigMap"},
		"Secret":            {sources(fromSecret("secret")), "5", "1", "2", "a key of a Secret"},
		"sub-path":          {sources(fromConfigMap("deep", "one.two", false)), "6", "1", "2", "values may lie deeper"},
		"component":         {sources(v1alpha1.ValuesSource{SourceRef: &component}), "7", "1", "2", "a resource of the component"},
		"optional, missing": {sources(fromConfigMap("none", "", true)), "2", "1", "2", "it may be left out"},
		"later wins":        {sources(fromConfigMap("map", "", false), fromSecret("secret"), fromConfigMap("nested", "", false)), "5", "8", "2", "and what it leaves out stays"},
		"empty text":        {sources(fromConfigMap("empty", "", false)), "2", "1", "2", "an empty file is no values"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			s.Create(configMap("map", "values", "replicas: 4\n"), secret("secret", "values", `{"replicas":5}`),
				configMap("deep", "values", "one: {two: {replicas: 6}}"), configMap("nested", "values", "nested: {a: 8}"), configMap("empty", "values", ""))
			c := s.configure(t, tc.change)
			wantReady(t, c)
			if diff := cmp.Diff(written(tc.replicas, "placeholder", tc.a, tc.b), s.file(t, c.Status)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestValuesOfEveryYAMLShape: what a YAML file can say must come out as it would from a ConfigData.
func TestValuesOfEveryYAMLShape(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"date":        {"extra: 2001-01-01", `extra: "2001-01-01"`},
		"number keys": {"extra: {8080: port}", "8080"},
		"big integer": {"extra: 9007199254740993", "extra: 9007199254740993"},
		"anchors":     {"extra: &x {a: 1}\nnested: *x", "a: 1"},
		"booleans":    {"extra: yes", "extra: "},
		"null":        {"extra: null", "extra: null"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, strings.Replace(config, "  rules:\n", "  rules:\n  - {value: (( extra )), file: deploy.yaml, path: spec.extra}\n", 1))
			s.Create(configMap("map", "values", tc.text))
			c := s.configure(t, sources(fromConfigMap("map", "", false)))
			wantReady(t, c)
			if got := s.file(t, c.Status); !strings.Contains(got, tc.want) {
				t.Errorf("file lacks %q:\n%s", tc.want, got)
			}
		})
	}
}

func TestValuesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	const invalid = "False " + v1alpha1.InvalidValuesReason
	for name, tc := range map[string]struct {
		change      func(*v1alpha1.MutationSpec)
		ready, says string
	}{
		"no ConfigMap":       {sources(fromConfigMap("none", "", false)), "False " + v1alpha1.ValuesNotReadyReason, "ConfigMap default/none does not exist"},
		"no key":             {sources(fromConfigMap("other", "", false)), invalid, `has no key "values"; it has: data`},
		"no key, optional":   {sources(fromConfigMap("other", "", true)), invalid, `has no key "values"`},
		"no map":             {sources(fromConfigMap("list", "", false)), invalid, "not a YAML or JSON map"},
		"no sub-path":        {sources(fromConfigMap("map", "one", false)), invalid, `sub-path "one"`},
		"sub-path is no map": {sources(fromConfigMap("map", "replicas", false)), invalid, "replicas"},
		"too large":          {sources(fromConfigMap("large", "", false)), invalid, "larger than"},
		"unknown key":        {inline(`{"replica":3}`), invalid, "replica"},
		"wrong type":         {inline(`{"replicas":"three"}`), invalid, "replicas"},
		"names nothing":      {sources(v1alpha1.ValuesSource{}), "False InvalidSpec", "names no source"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			s.Create(configMap("other", "data", ""), configMap("list", "values", "[1, 2]"), configMap("map", "values", "replicas: 4"),
				configMap("large", "values", "a: "+strings.Repeat("x", 1<<20)))
			wantRefused(t, s.configure(t, tc.change), tc.ready, tc.says)
		})
	}
}

// TestSecretsStaySecret lets everything go wrong that may quote a value. Status and events are read by people who may not
// read the Secret.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	rules := func(schema, rule string) string {
		return "configuration:\n  schema: " + schema + "\n  rules:\n  - " + rule + "\n"
	}
	const harmless = "{value: (( a )), file: deploy.yaml, path: spec.a}"
	for name, config := range map[string]string{
		"type":             rules("{properties: {a: {type: integer}}}", harmless),
		"pattern":          rules("{properties: {a: {pattern: ^x$}}}", harmless),
		"enum":             rules("{properties: {a: {enum: [x, y]}}}", harmless),
		"const":            rules("{properties: {a: {const: x}}}", harmless),
		"format":           rules("{properties: {a: {format: email}}}", "{value: (( nothing )), file: deploy.yaml, path: spec.a}"),
		"length":           rules("{properties: {a: {maxLength: 1}}}", harmless),
		"arithmetic":       rules("{}", "{value: (( a + 1 )), file: deploy.yaml, path: spec.a}"),
		"field of text":    rules("{}", "{value: (( a.b )), file: deploy.yaml, path: spec.a}"),
		"selected by it":   rules("{}", "{value: (( a )), file: deploy.yaml, path: apiVersion.b}"),
		"nothing like it":  rules("{}", "{value: (( b )), file: deploy.yaml, path: spec.a}"),
		"unknown function": rules("{}", "{value: (( frobnicate( a ) )), file: deploy.yaml, path: spec.a}"),
		"no map":           "",
	} {
		for shape, text := range map[string]string{"plain": "hunter2-secret", "quoted": "it's hunter2\"sec\\ret", "lines": "hunter2\nsecret\t", "letters": "hunter2-gehéim"} {
			t.Run(name+"/"+shape, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, config)
				values := secret("secret", "values", "a: "+strconv.Quote(text))
				if config == "" {
					values.Data["values"] = []byte("[" + strconv.Quote(text) + "]")
				}
				s.Create(values)
				c := s.configure(t, sources(fromSecret("secret")))
				if got := reconcilertest.Conditions(c)["Ready"]; !strings.HasPrefix(got, "False") {
					t.Fatalf("Ready is %q, want that something went wrong", got)
				}
				for _, said := range append(s.Events(), reconcilertest.Message(c, "Ready")) {
					if strings.Contains(said, "hunter2") {
						t.Errorf("the Secret is told: %q", said)
					}
				}
			})
		}
	}
}

func TestChangedValuesAreTaken(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	settings, password := configMap("map", "values", "replicas: 4"), secret("secret", "values", "nested: {a: 1}")
	s.Create(settings, password)
	c := s.configure(t, sources(fromConfigMap("map", "", false), fromSecret("secret")))
	s.Change(settings, func() { settings.Data["values"] = "replicas: 5" })
	s.configurations.Reconcile(c)
	s.Change(password, func() { password.Data["values"] = []byte("nested: {a: 6}") })
	s.configurations.Reconcile(c)
	if diff := cmp.Diff(written("5", "placeholder", "6", "2"), s.file(t, c.Status)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	s.forget()
	s.Change(settings, func() { settings.Data["note"] = "nothing" })
	s.configurations.Reconcile(c)
	if requests, writes := s.registry.Requests(), s.Writes(); len(requests) > 0 || len(writes) > 0 {
		t.Errorf("requests %v and writes %v after another key changed", requests, writes)
	}
}

func fluxKind(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: kind}
}

var gitRepository = fluxKind("GitRepository")

func fromFluxKind(kind, path, subPath string) func(*v1alpha1.MutationSpec) {
	return sources(v1alpha1.ValuesSource{FluxSource: &v1alpha1.FluxValuesSource{
		SourceRef: meta.NamespacedObjectKindReference{Kind: kind, Name: "site"}, Path: path, SubPath: subPath,
	}})
}

func fromFlux(path, subPath string) func(*v1alpha1.MutationSpec) {
	return fromFluxKind("GitRepository", path, subPath)
}

// fluxSource creates a GitRepository whose artifact holds the files, and serves it.
func (s *stage) fluxSource(t *testing.T, files map[string]string, sum string) *unstructured.Unstructured {
	t.Helper()
	return s.fluxSourceOf(t, "GitRepository", files, sum)
}

// fluxSourceOf is fluxSource for any kind.
func (s *stage) fluxSourceOf(t *testing.T, kind string, files map[string]string, sum string) *unstructured.Unstructured {
	t.Helper()
	s.Serve(fluxKind(kind))
	source := &unstructured.Unstructured{Object: map[string]any{}}
	source.SetGroupVersionKind(fluxKind(kind))
	source.SetName("site")
	source.Object["status"] = map[string]any{"artifact": serveArtifact(t, files, sum, "main@sha1:abc")}
	s.Create(source)
	return source
}

// serveArtifact serves files and returns what the status of a Flux source says of them.
func serveArtifact(t *testing.T, files map[string]string, sum, revision string) map[string]any {
	t.Helper()
	content := reconcilertest.Gzip(t, reconcilertest.Tar(t, files))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }))
	t.Cleanup(server.Close)
	if sum == "" {
		sum = digest.FromBytes(content).String()
	}
	return map[string]any{"url": server.URL, "digest": sum, "revision": revision, "size": int64(len(content))}
}

func TestFluxValues(t *testing.T) {
	t.Parallel()
	files := map[string]string{"env/values.yaml": "prod: {replicas: 8}", "top.json": `{"replicas":9}`}
	for name, tc := range map[string]struct{ path, subPath, replicas string }{
		"sub-path":     {"env/values.yaml", "prod", "8"},
		"with dot":     {"./env/values.yaml", "prod", "8"},
		"JSON":         {"top.json", "", "9"},
		"from outside": {"../../top.json", "", "9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			s.fluxSource(t, files, "")
			c := s.configure(t, fromFlux(tc.path, tc.subPath))
			wantReady(t, c)
			if diff := cmp.Diff(written(tc.replicas, "placeholder", "1", "2"), s.file(t, c.Status)); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFluxValuesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	files := map[string]string{"values.yaml": "replicas: 8"}
	for name, tc := range map[string]struct {
		prepare     func(*testing.T, *stage)
		path        string
		ready, says string
	}{
		"Flux is not installed": {func(*testing.T, *stage) {}, "values.yaml", "False " + v1alpha1.FluxNotInstalledReason, "install Flux's source-controller"},
		"no such source":        {func(_ *testing.T, s *stage) { s.Serve(gitRepository) }, "values.yaml", "False " + v1alpha1.ValuesNotReadyReason, "GitRepository default/site does not exist: create it, or correct spec.valuesSources[0]"},
		"no artifact": {func(t *testing.T, s *stage) {
			t.Helper()
			source := s.fluxSource(t, files, "")
			s.Change(source, func() { delete(source.Object, "status") })
		}, "values.yaml", "False " + v1alpha1.ValuesNotReadyReason, "has no artifact yet"},
		"wrong digest": {func(t *testing.T, s *stage) { t.Helper(); s.fluxSource(t, files, digest.FromString("x").String()) }, "values.yaml", "False " + v1alpha1.InvalidValuesReason, "is not what its digest"},
		"bad digest":   {func(t *testing.T, s *stage) { t.Helper(); s.fluxSource(t, files, "md5:x") }, "values.yaml", "False " + v1alpha1.InvalidValuesReason, "digest of the artifact"},
		"no file":      {func(t *testing.T, s *stage) { t.Helper(); s.fluxSource(t, files, "") }, "other.yaml", "False " + v1alpha1.InvalidValuesReason, `file "other.yaml": there is no such file`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			tc.prepare(t, s)
			wantRefused(t, s.configure(t, fromFlux(tc.path, "")), tc.ready, tc.says)
		})
	}
}

// TestPlacesOfValuesThatCannotBeUsed misses the key, the file or the sub-path in every other kind of place.
func TestPlacesOfValuesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	in := func(from v1alpha1.ValuesSource, key, subPath string) func(*v1alpha1.MutationSpec) {
		if from.SecretSource != nil {
			from.SecretSource.Key, from.SecretSource.SubPath = key, subPath
		}
		return sources(from)
	}
	for name, tc := range map[string]struct {
		change func(*v1alpha1.MutationSpec)
		says   string
	}{
		"Secret, key":             {in(fromSecret("secret"), "none", ""), `Secret default/secret has no key "none"; it has: values`},
		"Secret, sub-path":        {in(fromSecret("secret"), "values", "none"), `Secret default/secret, key values is not a YAML or JSON map, or has none at sub-path "none"`},
		"OCIRepository, file":     {fromFluxKind("OCIRepository", "none.yaml", ""), `values from OCIRepository default/site at main@sha1:abc: file "none.yaml": there is no such file`},
		"OCIRepository, sub-path": {fromFluxKind("OCIRepository", "values.yaml", "a.c"), `values of OCIRepository default/site, file values.yaml have no map at sub-path "a.c": key "c" is missing or something else; there are: b`},
		"Bucket, directory":       {fromFluxKind("Bucket", "dir", ""), `file "dir": it is a directory: name a file in it`},
		"Bucket, sub-path":        {fromFluxKind("Bucket", "values.yaml", "a.b"), `sub-path "a.b": key "b" is missing or something else`},
		"Bucket, no map":          {fromFluxKind("Bucket", "dir/list.yaml", ""), "values of Bucket default/site, file dir/list.yaml are not a YAML or JSON map"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			s.Create(secret("secret", "values", "a: {b: 1}"))
			kind, _, _ := strings.Cut(name, ",")
			if kind != "Secret" {
				s.fluxSourceOf(t, kind, map[string]string{"values.yaml": "a: {b: 1}", "dir/list.yaml": "[1]"}, "")
			}
			wantRefused(t, s.configure(t, tc.change), "False "+v1alpha1.InvalidValuesReason, tc.says)
		})
	}
}

func TestFluxArtifactIsFetchedOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	fetched := 0
	s.artifacts.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		fetched++
		return http.DefaultTransport.RoundTrip(r)
	})
	s.fluxSource(t, map[string]string{"values.yaml": "replicas: 8"}, "")
	c := s.configure(t, fromFlux("values.yaml", ""))
	s.configurations.Reconcile(c)
	if fetched != 1 {
		t.Errorf("the artifact was fetched %d times, want once for the same digest", fetched)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
