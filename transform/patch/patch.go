// Package patch merges Kubernetes objects strategically: maps merge key by key, lists of things that
// have a name (containers, ports, volumes, ...) merge element by element, everything else is replaced.
//
// Which lists merge is known for the kinds that Kubernetes itself has. Of every other kind maps
// merge and lists are replaced. The results are those of the patchesStrategicMerge of kustomize,
// where a list keeps first what the patch has of it; it is our own code because that library
// brings along the OpenAPI document of all of Kubernetes, 3 MiB that take 140 ms and 46 MiB to parse.
package patch

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

var (
	// ErrNoObject says that a file has nothing that can be merged.
	ErrNoObject = errors.New("there is no object")

	// ErrNoTarget says that the base does not have the object that the patch is for.
	ErrNoTarget = errors.New("the base has no such object")
)

// Error says which object could not be merged.
type Error struct {
	// File is "base" or "patch".
	File string
	// Line is the line of the file where the object begins, 0 if it is not about one object.
	Line int
	// Object is the kind and the name of the object, empty if it is not about one object.
	Object string
	// Err is the reason.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	case e.Object == "":
		return fmt.Sprintf("%s, line %d: %v", e.File, e.Line, e.Err)
	default:
		return fmt.Sprintf("%s, line %d, %s: %v", e.File, e.Line, e.Object, e.Err)
	}
}

// Unwrap makes errors.Is see the reason.
func (e *Error) Unwrap() error { return e.Err }

// Merge merges the objects of a patch file over those of a base file and returns the base as YAML.
// Objects belong together if apiVersion, kind, name and namespace are the same; a patch without
// a namespace is also for the only object that has the rest. Documents of the base that the patch
// has nothing for stay byte for byte as they are, the others are written anew with their comments.
//
// Both files have the bounds of yamledit.Documents, and so has the result. Errors are *Error.
func Merge(base, patch []byte) ([]byte, error) {
	bases, err := read("base", base)
	if err != nil {
		return nil, err
	}
	if yamledit.CheckValues(patch) == nil { // else it says so by itself
		if err := yamledit.CheckValues(base, patch); err != nil {
			return nil, &Error{File: "patch", Err: fmt.Errorf("with its base: %w", err)}
		}
	}
	patches, err := read("patch", patch)
	if err != nil {
		return nil, err
	}
	if len(patches.objects) == 0 {
		return nil, &Error{File: "patch", Err: ErrNoObject}
	}
	index := bases.index()
	for _, p := range patches.objects {
		target, err := index.find(p)
		if err != nil {
			return nil, p.fail(err)
		}
		if err := target.merge(p); err != nil {
			return nil, p.fail(err)
		}
	}
	return bases.bytes()
}

// file is a file with its objects.
type file struct {
	name    string
	docs    []*document
	objects []*object
	left    int // how many more nodes its aliases may become
	text    int // how many more bytes of text
}

type document struct {
	yamledit.Document

	changed, deleted bool
}

// object is a Kubernetes object in a file.
type object struct {
	*document

	file     *file
	root     *yaml.Node
	id       identity
	expanded bool
}

type identity struct{ apiVersion, kind, namespace, name string }

func (i identity) String() string {
	if i.namespace == "" {
		return i.kind + " " + strconv.Quote(i.name)
	}
	return i.kind + " " + strconv.Quote(i.namespace+"/"+i.name)
}

func (o *object) fail(err error) error {
	return &Error{File: o.file.name, Line: o.Line, Object: o.id.String(), Err: err}
}

func read(name string, content []byte) (*file, error) {
	docs, err := yamledit.Documents(content)
	if err != nil {
		return nil, &Error{File: name, Err: err}
	}
	f := &file{name: name, left: maxNodes, text: maxText}
	for _, d := range docs {
		doc := &document{Document: d}
		f.docs = append(f.docs, doc)
		if len(d.Node.Content) == 0 || isNull(d.Node.Content[0]) {
			continue
		}
		root := d.Node.Content[0]
		o := &object{document: doc, file: f, root: root}
		metadata := value(root, "metadata")
		o.id = identity{text(value(root, "apiVersion")), text(value(root, "kind")), text(value(metadata, "namespace")), text(value(metadata, "name"))}
		if o.id.apiVersion == "" || o.id.kind == "" || o.id.name == "" {
			return nil, &Error{File: name, Line: d.Line, Err: errors.New("this is no Kubernetes object: apiVersion, kind or metadata.name is missing")}
		}
		f.objects = append(f.objects, o)
	}
	return f, nil
}

// index finds objects.
type index struct {
	exact  map[identity]*object
	others map[identity][]*object // by everything but the namespace
	there  []string
}

func (f *file) index() *index {
	x := &index{exact: map[identity]*object{}, others: map[identity][]*object{}}
	for _, o := range f.objects {
		if _, known := x.exact[o.id]; !known {
			x.exact[o.id] = o
		}
		id := o.id
		id.namespace = ""
		x.others[id] = append(x.others[id], o)
		x.there = append(x.there, o.id.apiVersion+" "+o.id.String())
	}
	return x
}

// find returns the object of the base that a patch is for.
func (x *index) find(p *object) (*object, error) {
	if o := x.exact[p.id]; o != nil {
		return o, nil
	}
	others := x.others[p.id]
	switch {
	case p.id.namespace == "" && len(others) == 1:
		return others[0], nil
	case p.id.namespace == "" && len(others) > 1:
		return nil, fmt.Errorf("%w in no namespace, but in %d others: name the namespace in the patch", ErrNoTarget, len(others))
	}
	const most = 10
	there := strings.Join(x.there[:min(len(x.there), most)], ", ")
	switch {
	case len(x.there) > most:
		there += ", ..."
	case there == "":
		there = "nothing"
	}
	return nil, fmt.Errorf("%w of %s; it has: %s", ErrNoTarget, p.id.apiVersion, there)
}

// merge merges a patch into an object of the base.
func (o *object) merge(p *object) error {
	if o.deleted {
		return fmt.Errorf("%w any more: an earlier part of the patch deletes it", ErrNoTarget)
	}
	for _, side := range []*object{o, p} {
		if err := side.expand(); err != nil {
			return fmt.Errorf("%s: %w", side.file.name, err)
		}
	}
	o.changed = true
	how, err := directive(p.root)
	switch {
	case err != nil:
		return err
	case how == directiveDelete:
		o.deleted = true
		return nil
	case how == directiveReplace:
		return o.replace(p)
	}
	return newMerger(o.id).maps(o.root, p.root, "")
}

func (o *object) replace(p *object) error {
	strip(p.root)
	if err := clean(p.root); err != nil {
		return err
	}
	o.root.Content = p.root.Content
	return nil
}

// bytes puts the file together again.
func (f *file) bytes() ([]byte, error) {
	var out bytes.Buffer
	kept := 0
	for _, d := range f.docs {
		if d.deleted {
			continue
		}
		if b := out.Bytes(); len(b) > 0 && b[len(b)-1] != '\n' {
			out.WriteByte('\n')
		}
		if err := d.write(&out, kept > 0); err != nil {
			return nil, err
		}
		kept++
		if out.Len() > yamledit.MaxBytes {
			return nil, &Error{File: "result", Err: yamledit.ErrTooLarge}
		}
	}
	f.docs, f.objects = nil, nil // what comes next takes as much memory
	if err := verify(out.Bytes(), kept); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// write writes a document, with a marker in front if it needs one.
func (d *document) write(out *bytes.Buffer, marker bool) error {
	marked := bytes.HasPrefix(d.Text, []byte("---"))
	if !d.changed {
		if marker && !marked {
			out.WriteString("---\n")
		}
		out.Write(d.Text)
		return nil
	}
	if marker || marked {
		out.WriteString("---\n")
	}
	e := yaml.NewEncoder(out)
	e.SetIndent(2)
	if err := e.Encode(d.Node); err != nil {
		return &Error{File: "result", Err: err}
	}
	return e.Close()
}

// verify makes sure that the result has as many documents as it should: directives and markers in
// the comments of a base can make its parts mean something else together than alone.
func verify(result []byte, want int) error {
	docs, err := yamledit.Documents(result)
	if err != nil {
		return &Error{File: "result", Err: err}
	}
	if len(docs) != max(want, 1) {
		return &Error{File: "base", Err: errors.New("the layout of its documents is too unusual: separate them by lines with --- and nothing else")}
	}
	return nil
}
