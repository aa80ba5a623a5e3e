package signing

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a subject.
const (
	maxSubjectBytes = 1024
	maxAttributes   = 32
)

// attributeTypes are the names that attributes have in text. Those of RFC 4514
// come with what openssl prints.
var attributeTypes = map[string]string{
	"CN": "2.5.4.3", "COMMONNAME": "2.5.4.3",
	"SERIALNUMBER": "2.5.4.5",
	"C":            "2.5.4.6", "COUNTRYNAME": "2.5.4.6",
	"L": "2.5.4.7", "LOCALITYNAME": "2.5.4.7",
	"ST": "2.5.4.8", "S": "2.5.4.8", "STATEORPROVINCENAME": "2.5.4.8",
	"STREET": "2.5.4.9", "STREETADDRESS": "2.5.4.9",
	"O": "2.5.4.10", "ORGANIZATIONNAME": "2.5.4.10",
	"OU": "2.5.4.11", "ORGANIZATIONALUNITNAME": "2.5.4.11",
	"POSTALCODE":             "2.5.4.17",
	"ORGANIZATIONIDENTIFIER": "2.5.4.97",
	"UID":                    "0.9.2342.19200300.100.1.1", "USERID": "0.9.2342.19200300.100.1.1",
	"DC": "0.9.2342.19200300.100.1.25", "DOMAINCOMPONENT": "0.9.2342.19200300.100.1.25",
	"EMAILADDRESS": "1.2.840.113549.1.9.1",
}

// Subject is a distinguished name, of which a certificate must have each
// attribute, in any order and among others.
type Subject struct {
	attributes []attribute
}

// attribute is a part of a distinguished name, such as an organization.
type attribute struct {
	// oid is the type in dotted form.
	oid, value string
}

// ParseSubject reads a distinguished name as RFC 4514 writes it, for example
// CN=release,O=Acme\, Inc.,C=DE. Blanks around its parts do not count, and
// values may be quoted, as older standards have it.
func ParseSubject(text string) (Subject, error) {
	if len(text) > maxSubjectBytes {
		return Subject{}, fmt.Errorf("subject of %d bytes is too long, at most %d are read", len(text), maxSubjectBytes)
	}
	if !utf8.ValidString(text) {
		return Subject{}, errors.New("subject is not valid UTF-8")
	}
	p := subjectParser{text: text}
	attributes, err := p.name()
	if err != nil {
		return Subject{}, fmt.Errorf("subject %q: %w; write it as in CN=release,O=Acme", short(text), err)
	}
	return Subject{attributes: attributes}, nil
}

// String returns the subject in one form for all its spellings, which
// ParseSubject reads.
func (s Subject) String() string {
	parts := make([]string, 0, len(s.attributes))
	for _, a := range s.attributes {
		parts = append(parts, a.String())
	}
	slices.Sort(parts)
	return strings.Join(slices.Compact(parts), ",")
}

// String writes the attribute as RFC 4514 has it.
func (a attribute) String() string {
	var out strings.Builder
	out.WriteString(nameOf(a.oid) + "=")
	for i := range len(a.value) {
		switch c := a.value[i]; {
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&out, `\%02x`, c)
		case strings.IndexByte(`"+,;<>\`, c) >= 0, i == 0 && (c == ' ' || c == '#'), i == len(a.value)-1 && c == ' ':
			out.WriteByte('\\')
			out.WriteByte(c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// missing returns the first attribute that a name lacks.
func (s Subject) missing(name *pkix.Name) (string, bool) {
	has := make(map[attribute]bool, len(name.Names))
	for _, n := range name.Names {
		if value, ok := n.Value.(string); ok {
			has[attribute{oid: n.Type.String(), value: value}] = true
		}
	}
	for _, a := range s.attributes {
		if !has[a] {
			return a.String(), true
		}
	}
	return "", false
}

// nameOf returns the shortest name of an attribute type.
func nameOf(oid string) string {
	best := oid
	for name, o := range attributeTypes {
		if o == oid && (best == oid || len(name) < len(best) || len(name) == len(best) && name < best) {
			best = name
		}
	}
	return best
}

// subjectParser reads a distinguished name from left to right.
type subjectParser struct {
	text string
	pos  int
}

func (p *subjectParser) name() ([]attribute, error) {
	var all []attribute
	for {
		a, err := p.attribute()
		if err != nil {
			return nil, err
		}
		all = append(all, a)
		if len(all) > maxAttributes {
			return nil, fmt.Errorf("it has more than %d attributes", maxAttributes)
		}
		if p.pos == len(p.text) {
			return all, nil
		}
		// A plus sign joins attributes to one part. Where certificates group them
		// does not matter here, so it is read as a comma.
		if c := p.text[p.pos]; c != ',' && c != '+' {
			return nil, fmt.Errorf("character %q at %d must be a comma, or be escaped by a backslash", c, p.pos+1)
		}
		p.pos++
	}
}

func (p *subjectParser) attribute() (attribute, error) {
	name, _, ok := strings.Cut(p.text[p.pos:], "=")
	if !ok || strings.ContainsAny(name, `,+"\`) {
		return attribute{}, fmt.Errorf("the part at %d has no equals sign", p.pos+1)
	}
	oid, err := attributeType(strings.Trim(name, " "))
	if err != nil {
		return attribute{}, err
	}
	p.pos += len(name) + 1
	p.blanks()
	value, err := p.value()
	if err != nil {
		return attribute{}, err
	}
	if value == "" {
		return attribute{}, fmt.Errorf("attribute %s has no value", strings.Trim(name, " "))
	}
	if !utf8.ValidString(value) {
		return attribute{}, fmt.Errorf("the value of attribute %s is not valid UTF-8", strings.Trim(name, " "))
	}
	return attribute{oid: oid, value: value}, nil
}

// attributeType returns the dotted form of a type.
func attributeType(name string) (string, error) {
	upper := strings.ToUpper(name)
	if oid, ok := attributeTypes[upper]; ok {
		return oid, nil
	}
	oid := strings.TrimPrefix(upper, "OID.")
	parts := strings.Split(oid, ".")
	for _, part := range parts {
		// Only the canonical form is ever equal to the type of a certificate.
		if n, err := strconv.ParseInt(part, 10, 32); err != nil || strconv.FormatInt(n, 10) != part || n < 0 {
			return "", fmt.Errorf("attribute type %q is not known, use one such as CN, O, OU, C or its number in dotted form", short(name))
		}
	}
	if len(parts) < 2 {
		return "", fmt.Errorf("attribute type %q is not known, a number in dotted form has at least two parts", short(name))
	}
	return oid, nil
}

func (p *subjectParser) blanks() {
	for p.pos < len(p.text) && p.text[p.pos] == ' ' {
		p.pos++
	}
}

func (p *subjectParser) value() (string, error) {
	if p.pos == len(p.text) {
		return "", nil
	}
	switch p.text[p.pos] {
	case '#':
		return p.hexValue()
	case '"':
		return p.quotedValue()
	}
	return p.plainValue()
}

// hexValue reads the value in the form certificates have it.
func (p *subjectParser) hexValue() (string, error) {
	begin := p.pos + 1
	end := len(p.text)
	if i := strings.IndexAny(p.text[begin:], ",+ "); i >= 0 {
		end = begin + i
	}
	der, err := hex.DecodeString(p.text[begin:end])
	if err != nil {
		return "", fmt.Errorf("the value at %d is not written in hexadecimal digits, escape its # by a backslash if it is text", begin)
	}
	p.pos = end
	p.blanks()
	var value string
	if rest, err := asn1.Unmarshal(der, &value); err != nil || len(rest) > 0 {
		return "", fmt.Errorf("the value at %d is not the DER form of a text", begin)
	}
	return value, nil
}

func (p *subjectParser) quotedValue() (string, error) {
	begin := p.pos
	var out strings.Builder
	for p.pos++; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; c {
		case '"':
			p.pos++
			p.blanks()
			return out.String(), nil
		case '\\':
			escaped, err := p.escape()
			if err != nil {
				return "", err
			}
			out.WriteByte(escaped)
		default:
			out.WriteByte(c)
		}
	}
	return "", fmt.Errorf("the quotation mark at %d is not closed", begin+1)
}

func (p *subjectParser) plainValue() (string, error) {
	var out strings.Builder
	// end is where the value ends without the blanks behind it, unless they are
	// escaped.
	end := 0
	for ; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; c {
		case ',', '+':
			return out.String()[:end], nil
		case '"', ';', '<', '>', 0:
			return "", fmt.Errorf("character %q at %d must be escaped by a backslash", c, p.pos+1)
		case '\\':
			escaped, err := p.escape()
			if err != nil {
				return "", err
			}
			out.WriteByte(escaped)
			end = out.Len()
		default:
			out.WriteByte(c)
			if c != ' ' {
				end = out.Len()
			}
		}
	}
	return out.String()[:end], nil
}

// escape reads what follows a backslash, and stops at its last character.
func (p *subjectParser) escape() (byte, error) {
	rest := p.text[p.pos+1:]
	if rest == "" {
		return 0, errors.New("it ends with a backslash")
	}
	if strings.ContainsRune(` "#+,;<=>\`, rune(rest[0])) {
		p.pos++
		return rest[0], nil
	}
	if len(rest) >= 2 {
		if b, err := hex.DecodeString(rest[:2]); err == nil {
			p.pos += 2
			return b[0], nil
		}
	}
	return 0, fmt.Errorf("the backslash at %d is followed by neither a special character nor two hexadecimal digits", p.pos+1)
}
