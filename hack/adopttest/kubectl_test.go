package adopttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/labels"
)

// Where the programs that the script calls find their state, and how they are told to fail.
const (
	stateVariable = "FAKE_STATE"
	failVariable  = "FAKE_FAIL"
)

// The ways in which requests fail.
const (
	// failOnce is for every request the first time that it is made.
	failOnce = "once"
	// failLost is the same, but what is written is written: only the answer gets lost.
	failLost = "lost"
	// failAlways, with a number behind, is for the request of that number, and for each later one that is the same.
	failAlways = "always:"
)

type object = map[string]any

// cluster is what the fake kubectl keeps between two calls.
type cluster struct {
	Objects map[string][]object `json:"objects"`
	// Denied are rights as `kubectl auth can-i` is asked for them: a verb and a resource.
	Denied []string `json:"denied"`
	// Requests are all that were made, failed ones too.
	Requests []string `json:"requests"`
	// Stuck keeps what is being deleted.
	Stuck bool `json:"stuck"`
	// Violations are changes that came too early.
	Violations []string `json:"violations"`
}

func open(dir string) (*cluster, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return &cluster{Objects: map[string][]object{}}, nil
	}
	if err != nil {
		return nil, err
	}
	c := &cluster{}
	return c, json.Unmarshal(raw, c)
}

func (c *cluster) save(dir string) error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "state.json"), raw, 0o600)
}

// request is a call of kubectl.
type request struct {
	verb, namespace, selector, template, patch string
	resources, names                           []string
	all, ignoreNotFound                        bool
}

func parse(args []string) (request, error) {
	var r request
	var words []string
	for i := 0; i < len(args); i++ {
		value := func() string {
			i++
			return args[min(i, len(args)-1)]
		}
		switch arg := args[i]; {
		case arg == "-n":
			r.namespace = value()
		case arg == "-A":
			r.all = true
		case arg == "-l":
			r.selector = value()
		case arg == "-p":
			r.patch = value()
		case arg == "-o":
			r.template = strings.TrimPrefix(value(), "go-template=")
		case arg == "--field-selector":
			r.names = append(r.names, strings.TrimPrefix(value(), "metadata.name="))
		case arg == "--ignore-not-found":
			r.ignoreNotFound = true
		case slices.Contains([]string{"--request-timeout=60s", "--type=merge", "--wait=false"}, arg):
		case strings.HasPrefix(arg, "-"):
			return r, fmt.Errorf("unknown flag %s", arg)
		default:
			words = append(words, arg)
		}
	}
	if len(words) < 2 {
		return r, fmt.Errorf("no resource in %q", args)
	}
	if words[0] == "auth" {
		words = append([]string{"can-i"}, words[2]+" "+words[3])
	}
	r.verb, r.resources, r.names = words[0], strings.Split(words[1], ","), append(r.names, words[2:]...)
	for i, resource := range r.resources {
		if full, ok := map[string]string{"deployment": "deployments.apps", "customresourcedefinition": "customresourcedefinitions", "namespace": "namespaces", "secret": "secrets"}[resource]; ok {
			r.resources[i] = full
		}
	}
	return r, nil
}

// kubectl is the program.
func kubectl(dir string, args []string) error {
	c, err := open(dir)
	if err != nil {
		return err
	}
	r, err := parse(args)
	if err != nil {
		return err
	}
	line := strings.Join(args, " ")
	fails, lost := c.fails(line)
	c.Requests = append(c.Requests, line)
	failure := errors.New("Unable to connect to the server: EOF")
	if fails && (!lost || r.verb == "get" || r.verb == "can-i") {
		return errors.Join(failure, c.save(dir))
	}
	out, err := c.answer(r)
	if fails {
		err = failure
	}
	if err == nil {
		_, err = fmt.Print(out)
	}
	return errors.Join(err, c.save(dir))
}

func (c *cluster) fails(line string) (fails, lost bool) {
	mode := os.Getenv(failVariable)
	if number, ok := strings.CutPrefix(mode, failAlways); ok {
		n, err := strconv.Atoi(number)
		return err != nil || len(c.Requests) == n || len(c.Requests) > n && c.Requests[n] == line, false
	}
	return (mode == failOnce || mode == failLost) && !slices.Contains(c.Requests, line), mode == failLost
}

func (c *cluster) answer(r request) (string, error) {
	switch r.verb {
	case "can-i":
		if slices.Contains(c.Denied, r.resources[0]) {
			fmt.Println("no - by nobody")
			return "", errors.New("")
		}
		return "Warning: the resource may be of another scope\nyes\n", nil
	case "get":
		return c.get(r)
	case "patch":
		return "", c.patch(r)
	case "delete":
		for _, obj := range c.find(r) {
			set(obj, "2026-01-01T00:00:00Z", "metadata", "deletionTimestamp")
		}
		return "", nil
	}
	return "", fmt.Errorf("unknown verb %s", r.verb)
}

func (c *cluster) find(r request) []object {
	selector, err := labels.Parse(r.selector)
	if err != nil {
		selector = labels.Nothing()
	}
	var found []object
	for _, resource := range r.resources {
		for _, obj := range c.Objects[resource] {
			own := labels.Set{}
			for key, value := range field[map[string]any](obj, "metadata", "labels") {
				own[key], _ = value.(string)
			}
			namespace := field[string](obj, "metadata", "namespace")
			if (r.all || namespace == "" || namespace == r.namespace) && selector.Matches(own) && (len(r.names) == 0 || slices.Contains(r.names, field[string](obj, "metadata", "name"))) {
				found = append(found, obj)
			}
		}
	}
	return found
}

func (c *cluster) get(r request) (string, error) {
	defer c.settle(r.resources)
	found := c.find(r)
	var data any = object{"items": found}
	if len(r.names) > 0 && !r.all {
		if len(found) == 0 {
			if r.ignoreNotFound {
				return "", nil
			}
			return "", fmt.Errorf("Error from server (NotFound): %s %v not found", r.resources, r.names)
		}
		data = found[0]
	}
	t, err := template.New("").Parse(r.template)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = t.Execute(&out, data)
	return out.String(), err
}

func (c *cluster) patch(r request) error {
	var patch object
	if err := json.Unmarshal([]byte(r.patch), &patch); err != nil {
		return err
	}
	found := c.find(r)
	if len(found) != len(r.names) {
		return fmt.Errorf("Error from server (NotFound): %s %v not found", r.resources, r.names)
	}
	if resource := r.resources[0]; resource != "deployments.apps" && len(c.living(oldNamespace)) > 1 {
		c.Violations = append(c.Violations, fmt.Sprintf("%s %v is changed while pods of the old controllers are there", resource, r.names))
	}
	for _, obj := range found {
		merge(obj, patch)
		if patch["spec"] != nil {
			set(obj, field[float64](obj, "metadata", "generation")+1, "metadata", "generation")
		}
	}
	return nil
}

// living returns the pods of a namespace that have not ended.
func (c *cluster) living(namespace string) []object {
	var pods []object
	for _, pod := range c.find(request{resources: []string{"pods"}, namespace: namespace}) {
		if phase := field[string](pod, "status", "phase"); phase != "Succeeded" && phase != "Failed" {
			pods = append(pods, pod)
		}
	}
	return pods
}

// settle does what the controllers of a cluster do between two looks: what was asked for is a step further the next time.
func (c *cluster) settle(resources []string) {
	for _, resource := range resources {
		if c.Objects[resource] == nil {
			continue
		}
		left := []object{}
		for _, obj := range c.Objects[resource] {
			set(obj, field[float64](obj, "metadata", "generation"), "status", "observedGeneration")
			if resource == "deployments.apps" && field[float64](obj, "spec", "replicas") == 0 {
				c.scaleDown(obj)
			}
			if c.Stuck || field[string](obj, "metadata", "deletionTimestamp") == "" {
				left = append(left, obj)
			}
		}
		c.Objects[resource] = left
	}
}

// scaleDown lets a Deployment count no replicas, and its pods begin to end: no earlier are they gone than at the look after.
func (c *cluster) scaleDown(deployment object) {
	delete(field[map[string]any](deployment, "status"), "replicas")
	for _, pod := range c.living(field[string](deployment, "metadata", "namespace")) {
		if field[string](pod, "metadata", "labels", "app") == field[string](deployment, "metadata", "name") {
			set(pod, "2026-01-01T00:00:00Z", "metadata", "deletionTimestamp")
		}
	}
}

// field returns what is at a path, or the zero value.
func field[T any](obj object, path ...string) T {
	var at any = obj
	for _, name := range path {
		step, _ := at.(map[string]any)
		at = step[name]
	}
	value, _ := at.(T)
	return value
}

func set(obj object, value any, path ...string) {
	for _, name := range path[:len(path)-1] {
		next, ok := obj[name].(map[string]any)
		if !ok {
			next = object{}
			obj[name] = next
		}
		obj = next
	}
	obj[path[len(path)-1]] = value
}

// merge applies a JSON merge patch. As in a server, nothing is left of metadata without a value.
func merge(obj, patch object) {
	for name, value := range patch {
		inner, ok := value.(map[string]any)
		switch {
		case value == nil:
			delete(obj, name)
		case ok:
			if _, ok := obj[name].(map[string]any); !ok {
				obj[name] = object{}
			}
			merge(field[map[string]any](obj, name), inner)
			if len(field[map[string]any](obj, name)) == 0 {
				delete(obj, name)
			}
		default:
			obj[name] = value
		}
	}
}
