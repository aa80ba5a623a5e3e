package message

import (
	"bytes"
	"crypto/sha256"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxDocument is the largest document of a file that is read. Only those that may name images are.
	maxDocument = 2 << 20
	// maxMarks bounds what a document takes in memory when it is parsed: about 200 bytes for each value, be it one byte of text.
	maxMarks = 150_000
	// maxParsed bounds the bytes of all documents of a file that are parsed.
	maxParsed = 4 << 20
	// maxDocuments is how many documents of a file are read.
	maxDocuments = 10_000
	// maxDepth is how deep images are searched in a document; those of Kubernetes are at most ten levels deep.
	maxDepth = 64
	// maxImage is how long the name of an image is; the specification has 255 for the repository, 128 for the tag and 71 for the digest.
	maxImage = 512
)

// documents cuts a file at the lines that begin documents. That --- is nothing else at the beginning of a line is a rule of YAML,
// within texts of several lines, too.
func documents(content []byte) [][]byte {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	var docs [][]byte
	start := 0
	for pos := 0; pos < len(content) && len(docs) < maxDocuments; {
		end := bytes.IndexByte(content[pos:], '\n')
		if end < 0 {
			break
		}
		pos += end + 1
		if isSeparator(content[pos:]) {
			docs = append(docs, content[start:pos])
			start = pos
		}
	}
	return append(docs, content[start:])
}

func isSeparator(text []byte) bool {
	rest, ok := bytes.CutPrefix(text, []byte("---"))
	return ok && (len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0)
}

// differing leaves out documents that both versions have, and those that name no image: they are not parsed.
func differing(before, after [][]byte) (old, now [][]byte) {
	count := map[[sha256.Size]byte]int{}
	for _, doc := range before {
		count[sha256.Sum256(doc)]++
	}
	for _, doc := range after {
		if sum := sha256.Sum256(doc); count[sum] > 0 {
			count[sum]--
			continue
		}
		now = append(now, doc)
	}
	for _, doc := range before {
		if sum := sha256.Sum256(doc); count[sum] > 0 {
			count[sum]--
			old = append(old, doc)
		}
	}
	return old, now
}

// find returns the images that documents name.
func find(docs [][]byte) found {
	f := finder{images: found{}, seen: map[string]int{}}
	budget := maxParsed
	for _, doc := range docs {
		if !promising(doc) || len(doc) > budget {
			continue
		}
		budget -= len(doc)
		var root yaml.Node
		if err := yaml.Unmarshal(doc, &root); err != nil || len(root.Content) == 0 {
			continue // templates of charts are not YAML before they are rendered
		}
		f.node(root.Content[0], f.object(root.Content[0]), "", 0)
	}
	return f.images
}

// promising tells whether a document may name images, and can be afforded.
func promising(doc []byte) bool {
	if len(doc) > maxDocument || !bytes.Contains(doc, []byte("image")) && !bytes.Contains(doc, []byte("repository")) {
		return false
	}
	marks := 0
	for _, c := range doc {
		switch c {
		case ':', ',', '[', '{', '-', '?', '*', '&':
			marks++
		}
	}
	return marks <= maxMarks
}

type finder struct {
	images found
	seen   map[string]int
}

// object names a document by what it is, so that documents may change their order. Several of one name are told apart.
func (f *finder) object(root *yaml.Node) string {
	metadata := value(root, "metadata")
	name := strings.Join([]string{scalar(root, "kind"), scalar(metadata, "namespace"), scalar(metadata, "name")}, "/")
	return f.apart(cut(name, maxValue))
}

// apart adds a number to the name of a place that there is already.
func (f *finder) apart(name string) string {
	n := f.seen[name]
	f.seen[name]++
	if n == 0 {
		return name
	}
	return name + "#" + strconv.Itoa(n)
}

// node searches a value. The place of a value is made of the keys above it; where it is in a list, its name counts if it has one.
// Aliases are not followed: what they stand for is searched where it is written.
func (f *finder) node(n *yaml.Node, place, key string, depth int) {
	if depth > maxDepth || len(f.images) >= maxFound {
		return
	}
	switch n.Kind {
	case yaml.SequenceNode:
		f.list(n, place, key, depth)
	case yaml.MappingNode:
		f.add(place+"@", helmImage(n, key))
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, child := n.Content[i].Value, n.Content[i+1]
			if name == "image" {
				f.add(place+"/image", text(child))
			}
			f.node(child, longer(place, name), name, depth+1)
		}
	default: // the map that a text is in knows its key
	}
}

func (f *finder) list(n *yaml.Node, place, key string, depth int) {
	names := map[string]bool{}
	for i, item := range n.Content {
		name := scalar(item, "name")
		if name == "" || names[name] {
			name = "#" + strconv.Itoa(i)
		}
		names[name] = true
		at := longer(place, name)
		if key == "images" {
			f.add(at+"@", kustomizeImage(item))
		}
		f.node(item, at, "", depth+1)
	}
}

// longer adds a part to a place. Places that are too long are told apart no more, which only makes the answer coarser.
func longer(place, part string) string {
	if len(place) > 4096 {
		return place
	}
	return place + "/" + cut(part, 256)
}

func (f *finder) add(place, image string) {
	if isImage(image) {
		f.images[place] = image
	}
}

// helmImage returns the image of a map as the values of charts have it.
func helmImage(n *yaml.Node, key string) string {
	name, tag, digest := scalar(n, "repository"), scalar(n, "tag"), scalar(n, "digest")
	if name == "" || tag == "" && digest == "" && !strings.HasSuffix(strings.ToLower(key), "image") {
		return ""
	}
	if registry := scalar(n, "registry"); registry != "" {
		name = registry + "/" + name
	}
	return reference(name, tag, digest)
}

// kustomizeImage returns the image that an item of the images of a kustomization says to use.
func kustomizeImage(n *yaml.Node) string {
	name, newName, tag, digest := scalar(n, "name"), scalar(n, "newName"), scalar(n, "newTag"), scalar(n, "digest")
	if newName == "" && tag == "" && digest == "" {
		return ""
	}
	if newName != "" {
		name = newName
	}
	if name == "" {
		return ""
	}
	return reference(name, tag, digest)
}

func reference(name, tag, digest string) string {
	if tag != "" {
		name += ":" + tag
	}
	if digest != "" {
		name += "@" + digest
	}
	return name
}

// value returns the value of a key of a map, or nil.
func value(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key && n.Content[i].Kind == yaml.ScalarNode {
			return n.Content[i+1]
		}
	}
	return nil
}

func scalar(n *yaml.Node, key string) string { return text(value(n, key)) }

// text returns a scalar, or the one that an alias stands for. Tags of images look like numbers at times.
func text(n *yaml.Node) string {
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return ""
	}
	return n.Value
}

// isImage tells whether a text can be the name of an image.
func isImage(s string) bool {
	if s == "" || len(s) > maxImage || !isWord(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) && strings.IndexByte(".-/:@+", s[i]) < 0 {
			return false
		}
	}
	return !strings.Contains(s, "//")
}
