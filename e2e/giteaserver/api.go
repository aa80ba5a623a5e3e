package giteaserver

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 8 << 20

var client = &http.Client{Timeout: time.Minute}

// call is a request to Gitea's API.
type call struct {
	method, path string
	body         any // sent as JSON, unless it is nil
	into         any // gets the answer, unless it is nil
	want         []int
}

// do makes a request as the user, and ends the test unless the answer is one that is wanted. It returns the answer's status.
func (u *User) do(t testing.TB, c call) int {
	t.Helper()
	status, answer := u.try(t, c)
	if !slices.Contains(c.want, status) {
		t.Fatalf("Gitea answers %s %s by %d: %s", c.method, c.path, status, answer)
	}
	if c.into != nil {
		if err := json.Unmarshal(answer, c.into); err != nil {
			t.Fatalf("read Gitea's answer to %s %s: %v", c.method, c.path, err)
		}
	}
	return status
}

// try makes a request as the user, by the token or, for want of one, by the password.
func (u *User) try(t testing.TB, c call) (int, []byte) {
	t.Helper()
	var body io.Reader = http.NoBody
	if c.body != nil {
		content, err := json.Marshal(c.body)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(content)
	}
	request, err := http.NewRequestWithContext(t.Context(), c.method, u.server.URL+"/api/v1"+c.path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if u.Token != "" {
		request.Header.Set("Authorization", "token "+u.Token)
	} else {
		request.SetBasicAuth(u.Name, u.password)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatalf("ask Gitea: %v", err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		t.Fatalf("read Gitea's answer to %s %s: %v", c.method, c.path, err)
	}
	return answer.StatusCode, content
}
