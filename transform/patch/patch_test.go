package patch_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/ocm-operator/ocm-operator/transform/patch"
	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

const deployment = `# deployed by the site
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app # our name
spec:
  replicas: 1
  template:
    spec:
      containers:
        - name: app
          image: app:1 # pinned
          imagePullPolicy: IfNotPresent
          env:
            - {name: A, value: "1"}
            - {name: B, value: "2"}
          ports:
            - containerPort: 80
            - {containerPort: 53, protocol: UDP}
        - name: sidecar
          image: sidecar:1
`

func head(kind string) string { return "apiVersion: " + kind + "\nmetadata: {name: app}\n" }

const (
	deploy = "apps/v1\nkind: Deployment"
	custom = "example.com/v1\nkind: Widget"
	svc    = "v1\nkind: Service"
)

// cases are merges of which only the part below the metadata is looked at.
var cases = map[string]struct {
	reason            string
	kind              string
	base, patch, want string
}{
	"scalars": {
		"A value of the patch replaces that of the base.",
		custom, "a: 1\nb: x\n", "b: [y]\nc: true\n", "a: 1\nb: [y]\nc: true\n",
	},
	"maps": {
		"Maps merge at any depth, of kinds that nobody knows too.",
		custom, "a: {b: {c: 1, d: 2}}\n", "a: {b: {d: 3, e: 4}}\n", "a: {b: {c: 1, d: 3, e: 4}}\n",
	},
	"null deletes": {"", custom, "a: {b: 1, c: 2}\n", "a: {b: null, x: null}\n", "a: {c: 2}\n"},
	"new maps have no nulls": {
		"There is nothing to delete in what is new.",
		custom, "a: 1\n", "b: {c: null, d: 1, e: {f: ~}}\n", "a: 1\nb: {d: 1, e: {}}\n",
	},
	"delete a map":         {"", custom, "a: {b: 1}\nc: 2\n", "a: {$patch: delete}\n", "c: 2\n"},
	"delete nothing":       {"", custom, "c: 2\n", "a: {$patch: delete}\n", "c: 2\n"},
	"replace a map":        {"", custom, "a: {b: 1, c: 2}\n", "a: {$patch: replace, c: 3}\n", "a: {c: 3}\n"},
	"merge a map":          {"", custom, "a: {b: 1, c: 2}\n", "a: {$patch: merge, c: 3}\n", "a: {b: 1, c: 3}\n"},
	"map over scalar":      {"", custom, "a: 1\n", "a: {b: 2}\n", "a: {b: 2}\n"},
	"scalar over map":      {"", custom, "a: {b: 2}\n", "a: 1\n", "a: 1\n"},
	"lists of unknown":     {"Nobody knows the keys.", custom, "spec: {containers: [{name: a, x: 1}]}\n", "spec: {containers: [{name: a, y: null}]}\n", "spec: {containers: [{name: a, y: null}]}\n"},
	"atomic lists":         {"Arguments have no names.", deploy, "spec: {template: {spec: {containers: [{name: a, args: [x, y]}]}}}\n", "spec: {template: {spec: {containers: [{name: a, args: [z]}]}}}\n", "spec: {template: {spec: {containers: [{name: a, args: [z]}]}}}\n"},
	"containers":           {"The patch comes first.", deploy, "spec: {template: {spec: {containers: [{name: a, image: x}, {name: b}]}}}\n", "spec: {template: {spec: {containers: [{name: c}, {name: a, tty: true}]}}}\n", "spec: {template: {spec: {containers: [{name: c}, {name: a, image: x, tty: true}, {name: b}]}}}\n"},
	"delete an element":    {"", deploy, "spec: {template: {spec: {containers: [{name: a}, {name: b}]}}}\n", "spec: {template: {spec: {containers: [{name: a, $patch: delete}]}}}\n", "spec: {template: {spec: {containers: [{name: b}]}}}\n"},
	"delete the last":      {"", deploy, "spec: {template: {spec: {volumes: [{name: a}]}}}\n", "spec: {template: {spec: {volumes: [{name: a, $patch: delete}]}}}\n", "spec: {template: {spec: {volumes: []}}}\n"},
	"order":                {"The patch comes first here too.", deploy, "spec: {template: {spec: {volumes: [{name: a}, {name: b}, {name: c}]}}}\n", "spec: {template: {spec: {volumes: [{name: c}, {name: b, x: 1}]}}}\n", "spec: {template: {spec: {volumes: [{name: c}, {name: b, x: 1}, {name: a}]}}}\n"},
	"replace an element":   {"", deploy, "spec: {template: {spec: {volumes: [{name: a, emptyDir: {}}]}}}\n", "spec: {template: {spec: {volumes: [{name: a, $patch: replace, configMap: {name: c}}]}}}\n", "spec: {template: {spec: {volumes: [{name: a, configMap: {name: c}}]}}}\n"},
	"replace a list":       {"", deploy, "spec: {template: {spec: {volumes: [{name: a}, {name: b}]}}}\n", "spec: {template: {spec: {volumes: [{$patch: replace}, {name: c}]}}}\n", "spec: {template: {spec: {volumes: [{name: c}]}}}\n"},
	"delete a list":        {"", deploy, "spec: {template: {spec: {volumes: [{name: a}, {name: b}]}}}\n", "spec: {template: {spec: {volumes: [{$patch: delete}]}}}\n", "spec: {template: {spec: {}}}\n"},
	"new list":             {"", deploy, "spec: {}\n", "spec: {template: {spec: {containers: [{name: a, env: [{name: X, value: null}]}]}}}\n", "spec: {template: {spec: {containers: [{name: a, env: [{name: X}]}]}}}\n"},
	"ports by protocol":    {"", svc, "spec: {ports: [{port: 53, protocol: TCP, name: t}, {port: 53, protocol: UDP, name: u}]}\n", "spec: {ports: [{port: 53, protocol: UDP, nodePort: 1}]}\n", "spec: {ports: [{port: 53, protocol: UDP, name: u, nodePort: 1}, {port: 53, protocol: TCP, name: t}]}\n"},
	"ports without":        {"", svc, "spec: {ports: [{port: 53, protocol: TCP}]}\n", "spec: {ports: [{port: 53, name: x}]}\n", "spec: {ports: [{port: 53, protocol: TCP, name: x}]}\n"},
	"another protocol":     {"", svc, "spec: {ports: [{port: 53, protocol: TCP}]}\n", "spec: {ports: [{port: 53, protocol: UDP}]}\n", "spec: {ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}\n"},
	"another port":         {"", svc, "spec: {ports: [{port: 53}]}\n", "spec: {ports: [{port: 54}]}\n", "spec: {ports: [{port: 54}, {port: 53}]}\n"},
	"list over scalar":     {"", svc, "spec: {ports: 1}\n", "spec: {ports: [{port: 54}]}\n", "spec: {ports: [{port: 54}]}\n"},
	"aliases":              {"A change at one place must not show at the other.", custom, "a: &x {b: 1}\nc: *x\n", "c: {b: 2}\n", "a: {b: 1}\nc: {b: 2}\n"},
	"merge keys":           {"", custom, "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\ne: {<<: [{b: 5}, *x]}\n", "d: {b: null}\n", "a: {b: 1, c: 2}\nd: {c: 3}\ne: {b: 5, c: 2}\n"},
	"aliases in the patch": {"", custom, "a: 1\n", "b: &x {c: 1}\nd: *x\n", "a: 1\nb: {c: 1}\nd: {c: 1}\n"},
}

func TestMergeTable(t *testing.T) {
	t.Parallel()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := patch.Merge([]byte(head(tc.kind)+tc.base), []byte(head(tc.kind)+tc.patch))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(decode(t, []byte(head(tc.kind)+tc.want)), decode(t, got)); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func decode(t testing.TB, content []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := yaml.Unmarshal(content, &v); err != nil {
		t.Fatalf("%v:\n%s", err, content)
	}
	return v
}

// TestMergeText shows what happens to comments and layout.
func TestMergeText(t *testing.T) {
	t.Parallel()
	const config = "# settings\napiVersion: v1\nkind:   ConfigMap\nmetadata: {name: app}   # odd layout\n"
	got, err := patch.Merge([]byte(config+"---\n"+deployment), []byte(`
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
spec:
  replicas: 2
  template:
    spec:
      containers:
        - name: app
          imagePullPolicy: Always # as the component wants it
`))
	if err != nil {
		t.Fatal(err)
	}
	want := config + "---\n" + strings.NewReplacer("replicas: 1", "replicas: 2", "IfNotPresent", "Always # as the component wants it").Replace(deployment)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMergeDocuments(t *testing.T) {
	t.Parallel()
	object := func(name, namespace string, more ...string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s%s}\n%s", name, namespace, strings.Join(more, ""))
	}
	for name, tc := range map[string]struct{ base, patch, want string }{
		"the others stay": {
			object("a", "") + "---\n" + object("b", "") + "...\n" + object("c", ""),
			"---\n" + object("c", "", "x: 1\n") + "---\n" + object("a", "", "x: 2\n"),
			object("a", "", "x: 2\n") + "---\n" + object("b", "") + "...\n---\n" + object("c", "", "x: 1\n"),
		},
		"deleted first": {object("a", "") + "---\n" + object("b", ""), object("a", "", "$patch: delete\n"), "---\n" + object("b", "")},
		"deleted last":  {object("a", "") + "---\n" + object("b", ""), object("b", "", "$patch: delete\n"), object("a", "")},
		"deleted all":   {object("a", ""), object("a", "", "$patch: delete\n"), ""},
		"replaced":      {object("a", "", "x: {y: 1}\nz: 1\n"), object("a", "", "$patch: replace\nx: {w: 1}\n"), object("a", "", "x: {w: 1}\n")},
		"namespaces": {
			object("a", ", namespace: n") + "---\n" + object("a", ", namespace: m"),
			object("a", ", namespace: m", "x: 1\n"),
			object("a", ", namespace: n") + "---\n" + object("a", ", namespace: m", "x: 1\n"),
		},
		"the only namespace": {object("a", ", namespace: n"), object("a", "", "x: 1\n"), object("a", ", namespace: n", "x: 1\n")},
		"no line break":      {strings.TrimSpace(object("a", "")) + "\n---\n" + strings.TrimSpace(object("b", "")), object("a", "", "x: 1\n"), object("a", "", "x: 1\n") + "---\n" + strings.TrimSpace(object("b", ""))},
		"empty documents":    {"---\n---\n" + object("a", ""), object("a", "", "x: 1\n"), "---\n---\n" + object("a", "", "x: 1\n")},
		"twice":              {object("a", ""), object("a", "", "x: 1\n") + "---\n" + object("a", "", "x: 2\ny: 1\n"), object("a", "", "x: 2\ny: 1\n")},
		"JSON":               {`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"x":{"y":1}}`, object("a", "", "x: {z: 2}\n"), "\"apiVersion\": \"v1\"\n\"kind\": \"ConfigMap\"\n\"metadata\":\n  \"name\": \"a\"\n\"x\":\n  \"y\": 1\n  z: 2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := patch.Merge([]byte(tc.base), []byte(tc.patch))
			if diff := cmp.Diff(tc.want, string(got)); err != nil || diff != "" {
				t.Errorf("error %v, -want +got:\n%s", err, diff)
			}
		})
	}
}

func TestMergeFails(t *testing.T) {
	t.Parallel()
	var bomb strings.Builder
	bomb.WriteString("a: &a [1]\n")
	for i := range 8 {
		fmt.Fprintf(&bomb, "%c: &%c [%s*%c]\n", 'b'+i, 'b'+i, strings.Repeat(fmt.Sprintf("*%c, ", 'a'+i), 9), 'a'+i)
	}
	for name, tc := range map[string]struct {
		base, patch string
		is          error
		want        string
	}{
		"no patch":       {head(custom), "# nothing\n", patch.ErrNoObject, "patch: there is no object"},
		"null patch":     {head(custom), "null\n", patch.ErrNoObject, "patch: there is no object"},
		"no object":      {head(custom), "a: 1\n", nil, "patch, line 1: this is no Kubernetes object: apiVersion, kind or metadata.name is missing"},
		"base no object": {head(custom) + "---\n- a\n", head(custom), nil, "base, line 4: this is no Kubernetes object"},
		"no target":      {head(custom), head(deploy), patch.ErrNoTarget, `patch, line 1, Deployment "app": the base has no such object of apps/v1; it has: example.com/v1 Widget "app"`},
		"empty base":     {"", head(deploy), patch.ErrNoTarget, `it has: nothing`},
		"other version":  {head(custom), head("example.com/v2\nkind: Widget"), patch.ErrNoTarget, "of example.com/v2"},
		"namespaces": {
			"apiVersion: v1\nkind: A\nmetadata: {name: app, namespace: a}\n---\napiVersion: v1\nkind: A\nmetadata: {name: app, namespace: b}\n", head("v1\nkind: A"),
			patch.ErrNoTarget, "in no namespace, but in 2 others",
		},
		"other namespace": {head("v1\nkind: A"), "apiVersion: v1\nkind: A\nmetadata: {name: app, namespace: b}\n", patch.ErrNoTarget, `A "b/app": the base has no such object`},
		"deleted":         {head(custom), head(custom) + "$patch: delete\n---\n" + head(custom), patch.ErrNoTarget, "patch, line 5, Widget \"app\": the base has no such object any more"},
		"directive":       {head(custom), head(custom) + "a: {$patch: destroy}\n", nil, `a: $patch is "destroy": only delete, replace and merge are understood`},
		"root directive":  {head(custom), head(custom) + "$patch: x\n", nil, `$patch is "x"`},
		"list directive":  {head(svc), head(svc) + "spec: {ports: [{$patch: x}]}\n", nil, `spec.ports: $patch is "x"`},
		"in a list":       {head(custom), head(custom) + "a: [[{b: {$patch: delete}}]]\n", nil, "a: line 4: $patch has no effect here"},
		"element directive": {
			head(svc), head(svc) + "spec: {ports: [{port: 1, $patch: x}]}\n", nil, `spec.ports[]: $patch is "x"`,
		},
		"client's":       {head(custom), head(custom) + "a: {$setElementOrder/b: []}\n", nil, `a: the directive "$setElementOrder/b" is not understood`},
		"no key":         {head(svc), head(svc) + "spec: {ports: [{name: a}]}\n", nil, `spec.ports: line 4: an element has no "port"`},
		"no map":         {head(svc), head(svc) + "spec: {ports: [1]}\n", nil, `spec.ports: line 4: an element has no "port"`},
		"twice":          {head(svc) + "spec: {ports: [{port: 1}]}\n", head(svc) + "spec: {ports: [{port: 1}, {port: 1}]}\n", nil, `spec.ports: line 4: the element with port "1" is there twice`},
		"no text":        {head(svc), "apiVersion: v1\nkind: Service\nmetadata: {name: app, finalizers: [{a: b}]}\n", nil, "metadata.finalizers: line 3: an element is no text"},
		"syntax":         {head(custom), "a: [\n", nil, "patch: parse: yaml"},
		"duplicate":      {head(custom) + "a: 1\na: 2\n", head(custom), nil, `base: the key "a" is there twice, in lines 4 and 5`},
		"bomb":           {head(custom) + bomb.String(), head(custom) + "x: 1\n", nil, `base: its aliases make too many values`},
		"long text":      {head(custom) + "a: &a " + strings.Repeat("x", 100_000) + "\nb: [" + strings.Repeat("*a,", 10_000) + "]\n", head(custom) + "x: 1\n", nil, `base: its aliases make too many values`},
		"recursive":      {head(custom) + "a: &a [*a]\n", head(custom) + "x: 1\n", nil, "base: "},
		"merge no map":   {head(custom) + "a: {<<: [1]}\n", head(custom) + "x: 1\n", nil, "<< merges something that is no map"},
		"complex key":    {head(custom) + "? [a]\n: 1\n", head(custom) + "x: 1\n", nil, "a key is no text"},
		"base too large": {strings.Repeat(" ", yamledit.MaxBytes+1), head(custom), yamledit.ErrTooLarge, "base: the file is larger"},
		"too many both":  {head(custom) + "a: [" + strings.Repeat("1,", 150_000) + "]\n", head(custom) + "a: [" + strings.Repeat("1,", 150_000) + "]\n", yamledit.ErrTooMany, "patch: with its base: the file has more values"},
		"too many":       {head(custom), strings.Repeat(",", 600_000), yamledit.ErrTooMany, "patch: the file has more values"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := patch.Merge([]byte(tc.base), []byte(tc.patch))
			var failed *patch.Error
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), tc.want) || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("want an Error with %q, got %v and\n%s", tc.want, err, got)
			}
		})
	}
}

func TestMergeLists(t *testing.T) {
	t.Parallel()
	// Each kind that has a pod, at the place where it has it.
	for kind, at := range map[string]string{
		"v1\nkind: Pod": "spec", "v1\nkind: PodTemplate": "template.spec", "v1\nkind: ReplicationController": "spec.template.spec",
		"apps/v1\nkind: DaemonSet": "spec.template.spec", deploy: "spec.template.spec", "apps/v1\nkind: ReplicaSet": "spec.template.spec",
		"apps/v1\nkind: StatefulSet": "spec.template.spec", "batch/v1\nkind: Job": "spec.template.spec", "batch/v1\nkind: CronJob": "spec.jobTemplate.spec.template.spec",
	} {
		nest := func(content string) []byte {
			keys := strings.Split(at, ".")
			text := strings.Join(keys, ": {") + ": " + content + strings.Repeat("}", len(keys)-1) + "\n"
			return []byte(head(kind) + text)
		}
		got, err := patch.Merge(nest("{initContainers: [{name: a, x: 1}]}"), nest("{initContainers: [{name: a, y: 2}]}"))
		if diff := cmp.Diff(decode(t, nest("{initContainers: [{name: a, x: 1, y: 2}]}")), decode(t, got)); err != nil || diff != "" {
			t.Errorf("%s: error %v, -want +got:\n%s", kind, err, diff)
		}
	}
	// Lists of texts.
	base, over := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, finalizers: [a, b]}\n", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, finalizers: [c, b]}\n"
	got, err := patch.Merge([]byte(base), []byte(over))
	if want := strings.Replace(base, "a, b", "c, b, a", 1); err != nil || !cmp.Equal(decode(t, got), decode(t, []byte(want))) {
		t.Errorf("want %s, got %s, error %v", want, got, err)
	}
}

func FuzzMerge(f *testing.F) {
	for _, tc := range cases {
		f.Add([]byte(head(tc.kind)+tc.base), []byte(head(tc.kind)+tc.patch))
	}
	f.Add([]byte(deployment+"---\n"+head(svc)), []byte(head(svc)+"$patch: delete\n"))
	f.Add([]byte("%YAML 1.1\n---\n"+head(custom)+"...\n%YAML 1.1\n---\n"+head(svc)), []byte(head(custom)+"a: 1\n"))
	f.Fuzz(func(t *testing.T, base, over []byte) {
		once, err := patch.Merge(base, over)
		if err != nil || bytes.Contains(over, []byte("$patch")) {
			return
		}
		// What is merged again changes no more.
		twice, err := patch.Merge(once, over)
		if err != nil {
			t.Fatalf("merged once, but not again: %v\n%s", err, once)
		}
		if !bytes.Equal(once, twice) {
			a, errA := yamledit.Documents(once)
			b, errB := yamledit.Documents(twice)
			if errA != nil || errB != nil || len(a) != len(b) {
				t.Fatalf("first\n%s\nthen\n%s", once, twice)
			}
			for i := range a {
				if !sameValue(a[i].Node, b[i].Node) {
					t.Fatalf("first\n%s\nthen\n%s", once, twice)
				}
			}
		}
	})
}

func sameValue(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || a.Value != b.Value || a.ShortTag() != b.ShortTag() || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !sameValue(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

func BenchmarkMerge(b *testing.B) {
	base, over := []byte(deployment), []byte(head(deploy)+"spec: {template: {spec: {containers: [{name: app, image: app:2}]}}}\n")
	b.SetBytes(int64(len(base)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := patch.Merge(base, over); err != nil {
			b.Fatal(err)
		}
	}
}
