package message

import (
	"errors"
	"fmt"
	"strings"
	"text/template"
)

const (
	// maxTemplate is how long a template may be; the API has lower limits.
	maxTemplate = 64 << 10
	// maxOrigins is how many component versions a template can go through. It bounds, with the length of the template, its steps.
	maxOrigins = 256
	// maxWork bounds the bytes that functions of one template make on the way to the result.
	maxWork = 128 << 10
	// maxCall bounds the bytes that one call of printf could make at worst.
	maxCall = 1 << 20
	// maxDigits is how many digits a width or a precision has.
	maxDigits = 3
	// maxNumber is how long a number is at most, with the widest width and precision.
	maxNumber = 4096
	// maxSteps bounds what is executed, in nodes of the template, those of a loop once for each of its turns.
	maxSteps = 50_000

	// shown is the function that each output passes through; templates cannot name it.
	shown = "_shown"
)

var (
	errOutput = errors.New("the result is too long")
	errWork   = errors.New("print, println and printf make too much text: use less of them")
	errSteps  = errors.New("it has too many parts, those of a range counted for each turn: make it simpler")

	errTemplates = errors.New("define, template and block are not available: write the text where it is used")
	errRange     = errors.New("range goes over .Origins and nothing else, and not within a range: write the parts one by one")
)

// render executes a template. Each value that it prints goes through show.
func render(what, text string, d Data, limit int, show func(string) string) (string, error) {
	out, err := execute(text, cleaned(d), limit, show)
	if err != nil {
		return "", &TemplateError{What: what, Err: err}
	}
	return out, nil
}

func execute(text string, d Data, limit int, show func(string) string) (string, error) {
	if len(text) > maxTemplate {
		return "", fmt.Errorf("it has more than %d KiB: make it shorter", maxTemplate>>10)
	}
	b := &budget{left: maxWork}
	t, err := template.New("line").Option("missingkey=error").Funcs(template.FuncMap{
		"print": b.print, "println": b.println, "printf": b.printf,
		shown: func(v any) string { return show(fmt.Sprint(v)) },
	}).Parse(text)
	if err != nil {
		return "", readable(err)
	}
	for _, other := range t.Templates() {
		if other.Name() != t.Name() {
			return "", errTemplates
		}
	}
	if t.Tree == nil || t.Root == nil {
		return "", nil
	}
	if err := new(checker).check(t.Root, 1); err != nil {
		return "", err
	}
	w := &limited{left: limit}
	switch err := t.Execute(w, d); {
	case errors.Is(err, errOutput):
		return "", fmt.Errorf("%w, at most %d bytes are allowed: print less", errOutput, limit)
	case err != nil:
		return "", readable(err)
	}
	return w.String(), nil
}

// readable shortens an error of the library, which quotes the part of the template that it is about.
func readable(err error) error {
	text := strings.Replace(strings.TrimPrefix(err.Error(), "template: "), "line:", "line ", 1)
	if where, _, ok := strings.Cut(text, ": executing "); ok {
		if i := strings.LastIndex(text, ">: "); i > 0 {
			text = where + text[i+1:]
		}
	}
	return errors.New(cut(flat(text), 512))
}

// limited takes so many bytes.
type limited struct {
	strings.Builder

	left int
}

// Write implements io.Writer.
func (w *limited) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errOutput
	}
	return w.Builder.Write(p)
}

// budget is what functions of one execution may make.
type budget struct{ left int }

func (b *budget) spend(n int) error {
	if b.left -= n; b.left < 0 {
		return errWork
	}
	return nil
}

// size returns how many bytes a value has at most when it is printed plainly.
func size(v any) (int, error) {
	switch v := v.(type) {
	case string:
		return len(v), nil
	case bool, int, int64, float64, uint8: // the last is one byte of a text
		return 32, nil
	}
	return 0, fmt.Errorf("print, println and printf take texts, numbers and truth values, and not %T: print its fields", v)
}

func sizes(args []any) (sum, largest int, err error) {
	for _, arg := range args {
		n, err := size(arg)
		if err != nil {
			return 0, 0, err
		}
		sum, largest = sum+n+1, max(largest, n)
	}
	return sum, largest, nil
}

func (b *budget) print(args ...any) (string, error) { return b.plain(fmt.Sprint, args) }

func (b *budget) println(args ...any) (string, error) { return b.plain(fmt.Sprintln, args) }

func (b *budget) plain(do func(...any) string, args []any) (string, error) {
	n, _, err := sizes(args)
	if err == nil {
		err = b.spend(n)
	}
	if err != nil {
		return "", err
	}
	return do(args...), nil
}

// printf refuses what would take much memory before it is taken.
func (b *budget) printf(format string, args ...any) (string, error) {
	verbs, err := countVerbs(format)
	if err != nil {
		return "", err
	}
	_, largest, err := sizes(args)
	if err != nil {
		return "", err
	}
	// A verb prints one value, of which a byte may become ten (%+q), in its width. What is given too much is listed.
	if len(format)+verbs*(10*largest+maxNumber)+len(args)*(largest+32) > maxCall {
		return "", errWork
	}
	s := fmt.Sprintf(format, args...)
	return s, b.spend(len(s))
}

func countVerbs(format string) (int, error) {
	verbs := 0
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		verbs++
		digits := 0
		for i++; i < len(format) && strings.IndexByte("+-# 0123456789.[]*", format[i]) >= 0; i++ {
			switch c := format[i]; {
			case c == '*':
				return 0, errors.New("printf knows no *: write the width as a number")
			case !isDigit(c):
				digits = 0
			case digits == maxDigits:
				return 0, fmt.Errorf("printf knows widths of at most %d digits: use a smaller one", maxDigits)
			default:
				digits++
			}
		}
	}
	return verbs, nil
}
