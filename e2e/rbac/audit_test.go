package rbac_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/operator/rights"
)

// policy has the API server log what the ServiceAccounts of the operator's namespace ask for, when it answers.
const policy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts:` + operator.Namespace + `"]
- level: None
`

// maxEvent bounds a line of the log.
const maxEvent = 1 << 20

// request is a line of the log.
type request struct {
	Verb string `json:"verb"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	Object *struct {
		Group       string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Status struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	Annotations map[string]string `json:"annotations"`
}

// audit is the log of an API server, as far as it was read.
type audit struct {
	path   string
	offset int64
	// seen are the allowed requests of each user that differ, and denied the others.
	seen   map[string]map[rights.Right]bool
	denied map[string]map[rights.Right]bool
}

// newAudit returns a log, and the arguments by which an API server writes it.
func newAudit(t *testing.T) (*audit, []string) {
	t.Helper()
	dir := t.TempDir()
	rules := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(rules, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &audit{path: filepath.Join(dir, "audit.log"), seen: map[string]map[rights.Right]bool{}, denied: map[string]map[rights.Right]bool{}}
	return a, []string{"--audit-policy-file=" + rules, "--audit-log-path=" + a.path, "--audit-log-mode=blocking"}
}

// read reads on.
func (a *audit) read(t *testing.T) {
	t.Helper()
	file, err := os.Open(a.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Seek(a.offset, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReaderSize(io.LimitReader(file, 1<<30), maxEvent)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return // the rest of the line comes later
		}
		a.offset += int64(len(line))
		r := request{}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("the audit log has %q: %v", line, err)
		}
		a.note(r)
	}
}

func (a *audit) note(r request) {
	if r.Object == nil {
		return // discovery
	}
	done := rights.Right{Namespace: r.Object.Namespace, Group: r.Object.Group, Resource: r.Object.Resource, Name: r.Object.Name, Verb: r.Verb}
	if r.Object.Subresource != "" {
		done.Resource += "/" + r.Object.Subresource
	}
	to := a.seen
	if r.Annotations["authorization.k8s.io/decision"] != "allow" {
		to = a.denied
	}
	if to[r.User.Username] == nil {
		to[r.User.Username] = map[rights.Right]bool{}
	}
	to[r.User.Username][done] = true
	if r.Verb == "patch" && r.Status.Code == http.StatusCreated {
		// What is applied, and is not there, is created, for which the server wants the right to.
		done.Verb = "create"
		to[r.User.Username][done] = true
	}
}

// use returns a request of a user that needed a right.
func (a *audit) use(user string, right rights.Right) (rights.Right, bool) {
	for done := range a.seen[user] {
		covered := right
		if right.Namespace == "" {
			covered.Namespace = done.Namespace
		}
		if right.Name == "" {
			covered.Name = done.Name
		}
		if covered == done {
			return done, true
		}
	}
	return rights.Right{}, false
}
