package message

import "errors"

var errLater = errors.New("not there yet")

// Commit returns the message of a commit.
func Commit(template string, d Data, trailers []Trailer) (string, error) { return "", errLater }

// Title returns the title of a pull request.
func Title(template string, d Data) (string, error) { return "", errLater }

// Body returns the text of a pull request.
func Body(description string, d Data, r Report) (string, error) { return "", errLater }

// ParseTrailers returns the trailers of a commit message.
func ParseTrailers(message string) map[string]string { return nil }

// Marker returns the hidden line of a text by which it is known who made it.
func Marker(namespace, name string) string { return "" }

// ParseMarker returns the GitSync object whose marker is in the text of a pull request.
func ParseMarker(body string) (namespace, name string, ok bool) { return "", "", false }

// Images returns the images that two versions of the file at path name differently. A file that is nil does not exist.
func Images(path string, before, after []byte) []ImageChange { return nil }
