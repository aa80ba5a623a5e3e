package gittest

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// IsRefs tells whether a request asks for the branches, to fetch or to push.
func IsRefs(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/info/refs") }

// IsFetch tells whether a request fetches objects.
func IsFetch(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/git-upload-pack") }

// IsPush tells whether a request pushes objects.
func IsPush(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/git-receive-pack") }

// Once lets the fault see only the first request that matches.
func Once(match func(*http.Request) bool, f Fault) Fault {
	var done atomic.Bool
	return func(w http.ResponseWriter, r *http.Request) bool {
		return match(r) && done.CompareAndSwap(false, true) && f(w, r)
	}
}

// When lets the fault see only requests that match.
func When(match func(*http.Request) bool, f Fault) Fault {
	return func(w http.ResponseWriter, r *http.Request) bool { return match(r) && f(w, r) }
}

// Before does something else, such as a foreign commit, before a request is answered as usual.
func Before(do func()) Fault {
	return func(http.ResponseWriter, *http.Request) bool {
		do()
		return false
	}
}

// Status answers with a status and a text.
func Status(status int, text string) Fault {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, text, status)
		return true
	}
}

// Redirect sends clients elsewhere: to the same path and query at another address, such as "https://127.0.0.1:1234".
func Redirect(status int, address string) Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, address+r.URL.RequestURI(), status)
		return true
	}
}

// Hang answers nothing until the client gives up.
func Hang() Fault {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		// A server hears that its client is gone only once the request is read.
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return true
	}
}

// Disconnect closes the connection without an answer, before git has done anything.
func Disconnect() Fault {
	return func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
}

// Endless answers with the right kind of content that never ends, so that only a limit of the client ends it.
func Endless(contentType string, head, repeated []byte) Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", contentType)
		if _, err := w.Write(head); err != nil {
			return true
		}
		for r.Context().Err() == nil {
			if _, err := w.Write(repeated); err != nil {
				return true
			}
		}
		return true
	}
}
