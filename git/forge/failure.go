package forge

import (
	"encoding/json"
	"io"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// maxMessage bounds what is repeated of what a forge says.
	maxMessage = 512
	// minWait and maxWait bound for how long a forge can send us away, and defaultWait is for one that does not say.
	minWait, defaultWait, maxWait = time.Second, time.Minute, 6 * time.Hour
)

// failure turns an answer that is not a success into an error.
func (c *client) failure(resp *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		data = nil
	}
	message := c.clean(message(data))
	if limited(resp, message) {
		return &RateLimitedError{Until: until(resp.Header, c.now()), Message: message}
	}
	failure := &ResponseError{Status: resp.StatusCode, Message: message}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		failure.kind = ErrUnauthorized
	case http.StatusForbidden:
		failure.kind = ErrForbidden
	case http.StatusNotFound, http.StatusGone:
		failure.kind = ErrNotFound
	default:
		if c.kind != nil {
			failure.kind = c.kind(resp.StatusCode, message)
		}
	}
	return failure
}

// limited tells whether the forge sends us away. GitHub does it with 403, too: for the hourly limit with a header, and for the one against bursts with Retry-After or in words only.
func limited(resp *http.Response, message string) bool {
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		return resp.Header.Get("X-RateLimit-Remaining") == "0" || resp.Header.Get("Retry-After") != "" || strings.Contains(strings.ToLower(message), "rate limit")
	}
	return false
}

// until reads how long the forge wants to be left alone.
func until(h http.Header, now time.Time) time.Time {
	at := now.Add(defaultWait)
	if value := h.Get("Retry-After"); value != "" {
		if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
			at = now.Add(time.Duration(seconds) * time.Second)
		} else if t, err := http.ParseTime(value); err == nil {
			at = t
		}
	} else if value := reset(h); value != "" {
		// A time since 1970 for GitHub and GitLab; small numbers are the seconds of the draft standard.
		if seconds, err := strconv.ParseInt(value, 10, 62); err == nil && seconds > 1e9 {
			at = time.Unix(seconds, 0)
		} else if err == nil && seconds >= 0 {
			at = now.Add(time.Duration(seconds) * time.Second)
		}
	}
	switch {
	case at.Before(now.Add(minWait)):
		return now.Add(minWait)
	case at.After(now.Add(maxWait)):
		return now.Add(maxWait)
	}
	return at
}

// reset returns when the limit that is used up ends. GitHub tells of the hourly one also when another one sends us away.
func reset(h http.Header) string {
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-"} {
		if left := h.Get(prefix + "Remaining"); left == "" || left == "0" {
			if value := h.Get(prefix + "Reset"); value != "" {
				return value
			}
		}
	}
	return ""
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// message finds what a forge says in one of the forms that are in use: a message that is a text, a list or lists by field; an OAuth error; errors of GitHub, which say what the message does not.
func message(data []byte) string {
	var body struct {
		Message     any    `json:"message"`
		Error       any    `json:"error"`
		Description string `json:"error_description"`
		Errors      any    `json:"errors"`
	}
	if deep(data) || json.Unmarshal(data, &body) != nil {
		if text := strings.TrimSpace(string(data)); !strings.HasPrefix(text, "<") && utf8.ValidString(text) {
			return text
		}
		return ""
	}
	var texts []string
	for _, value := range []any{body.Message, body.Error, body.Description, body.Errors} {
		texts = append(texts, words(value)...)
	}
	// GitHub goes on with the number of the request and the time, which are new in each answer.
	said, _, _ := strings.Cut(strings.Join(texts, ": "), "If you reach out to GitHub Support")
	return strings.TrimSpace(said)
}

// words returns the texts of a decoded value, with the names of fields in front of those of an object.
func words(value any) []string {
	switch v := value.(type) {
	case string:
		if v != "" {
			return []string{v}
		}
	case []any:
		var texts []string
		for _, item := range v {
			texts = append(texts, words(item)...)
		}
		return texts
	case map[string]any:
		if text, ok := v["message"].(string); ok && text != "" {
			return []string{text}
		}
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Strings(names)
		var texts []string
		for _, name := range names {
			if text := strings.Join(words(v[name]), ", "); text != "" {
				texts = append(texts, name+" "+text)
			}
		}
		return texts
	}
	return nil
}

// clean makes a text of a forge fit for a status: one line, short, and without the token, which a proxy that is asked for the wrong thing might repeat.
func (c *client) clean(text string) string {
	return printable(strings.ReplaceAll(text, c.token, "***"), maxMessage)
}

// transportError is what the transport has to say, which can repeat what a server has sent in place of an answer, made fit for a status.
type transportError struct {
	text  string
	cause error
}

// Error implements error.
func (e *transportError) Error() string { return e.text }

// Unwrap returns the cause, so that the end of a context is found.
func (e *transportError) Unwrap() error { return e.cause }

func (c *client) bounded(err error) error {
	return &transportError{text: c.clean(err.Error()), cause: err}
}

// printable returns at most limit bytes of a text in one line, with nothing in it that a terminal would obey.
func printable(text string, limit int) string {
	var b strings.Builder
	space := false
	for _, r := range text {
		if b.Len() >= limit-2*utf8.UTFMax {
			b.WriteString("…")
			break
		}
		switch {
		case unicode.IsSpace(r) || !unicode.IsPrint(r) || r == utf8.RuneError:
			space = b.Len() > 0
		default:
			if space {
				b.WriteByte(' ')
				space = false
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}
