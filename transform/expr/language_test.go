package expr_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/transform/expr"
)

// settings are values as a rule of a component has them.
func settings() object {
	return object{
		"image": object{"repository": "ghcr.io/acme/web", "tag": "1.4.0", "digest": nil},
		"hosts": []any{"a.example.com", "b.example.com"}, "ports": []any{object{"name": "http", "port": int64(80)}, object{"name": "https", "port": int64(443)}},
		"env": object{"LOG_LEVEL": "info", "a.b": "dot", "with space": "blank"}, "replicas": int64(2), "cpu": 0.25, "tls": true, "debug": false, "domain": "example.com",
		"empty": object{}, "none": []any{}, "nothing": nil, "text": "", "zero": int64(0), "secret": "(( domain ))", "matrix": []any{[]any{int64(1), int64(2)}, []any{int64(3)}}, "first": "hosts",
	}
}

// TestLanguage is the language by its parts: what its documentation says, once more as cases.
func TestLanguage(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]any{
		// What configurations are made of.
		"(( image.repository ))": "ghcr.io/acme/web", "(( image.repository \":\" image.tag ))": "ghcr.io/acme/web:1.4.0",
		"(( image.digest // image.tag ))": "1.4.0", "(( image.digest ? image.repository \"@\" image.digest :image.repository \":\" image.tag ))": "ghcr.io/acme/web:1.4.0",
		"https://(( hosts.[0] )):(( ports.https.port ))/": "https://a.example.com:443/", "(( tls ? \"https\" :\"http\" ))://(( domain ))": "https://example.com",
		"(( join(\",\", hosts) ))": "a.example.com,b.example.com", "(( replicas * 2 ))": int64(4), "(( cpu * 1000 ))": 250.0, "(( format(\"%dm\", replicas * 100) ))": "200m",
		"(( [{\"host\" = hosts.[0], \"tls\" = tls}] ))": []any{object{"host": "a.example.com", "tls": true}}, "(( hosts [\"c.\" domain] ))": []any{"a.example.com", "b.example.com", "c.example.com"},
		"(( env {\"LOG_LEVEL\" = \"debug\"} ))": object{"LOG_LEVEL": "debug", "a.b": "dot", "with space": "blank"}, "(( defined(ingress.host) ? ingress.host :domain ))": "example.com",
		// References.
		"(( hosts.[-2] ))": "a.example.com", "(( matrix.[0].[1] ))": int64(2), "(( matrix[1][0] ))": int64(3), "(( ports.http ))": object{"name": "http", "port": int64(80)},
		`(( env["a.b"] ))`: "dot", `(( env.["with space"] ))`: "blank", "(( .image.tag ))": "1.4.0", "(( ports.[replicas - 1].name ))": "https", "(( ports.[\"http\"].port ))": int64(80),
		"(( empty ))": object{}, "(( none ))": []any{}, "(( nothing ))": nil, "(( text ))": "", "(( zero ))": int64(0), "(( secret ))": "(( domain ))", "a(( secret ))": "a(( domain ))",
		// From the loosest operator to the tightest.
		"(( x || y || domain ))": "example.com", "(( x // nothing // domain ))": "example.com", "(( debug || domain ))": false, "(( 1 + 1 || 5 ))": int64(2), "(( x + 1 || 5 ))": int64(5),
		"(( tls ? 1 :2 || 3 ))": int64(1), "(( debug ? 1 :x || 3 ))": int64(3), "(( \"a\" 1 + 1 ))": "a2", "(( \"a\" \"b\" == \"ab\" ))": "afalse", "(( (\"a\" \"b\") == \"ab\" ))": true,
		"(( tls -and 1 < 2 ))": true, "(( debug -or 2 > 1 -and tls ))": true, "(( 1 < 2 == true ))": true, "(( 1 + 2 < 4 ))": true, "(( 2 + 3 * 4 - 1 ))": int64(13), "(( 20 / 2 / 5 ))": int64(2),
		"(( 17 % 5 * 2 ))": int64(4), "(( -7 / 2 ))": int64(-3), "(( -7 % 2 ))": int64(-1), "(( 2 * (3 + 4) ))": int64(14), "(( !tls == debug ))": true, "(( !(tls -and debug) ))": true,
		"(( 1.5 + 1 ))": 2.5, "(( 3 / 2.0 ))": 1.5, "(( 1 == \"1\" ))": false, "(( nothing == text ))": false, "(( none == [] ))": true, "(( empty == {} ))": true, "(( \"b\" >= \"a\" ))": true,
		"(( 6 -and 3 ))": int64(2), "(( 6 -or 1 ))": int64(7), "(( 0 -and tls ))": false, "(( text ? 1 :2 ))": int64(2), "(( none ? 1 :2 ))": int64(2), "(( empty ? 1 :2 ))": int64(2), "(( \"0\" ? 1 :2 ))": int64(1),
		// Functions.
		"(( length(hosts) + length(domain) ))": int64(13), "(( length(none) ))": int64(0), "(( length(text) ))": int64(0), "(( split(\".\", domain).[0] ))": "example", "(( split(\"\", \"abc\") ))": []any{"a", "b", "c"},
		"(( split(\".\", text) ))": []any{""}, "(( join(\"\", split(\".\", domain)) ))": "examplecom", "(( join(\"-\", none) ))": "", "(( join(\"-\", 1, 2.5, tls) ))": "1-2.5-true", "(( join(\", \", hosts, \"c\") ))": "a.example.com, b.example.com, c",
		"(( trim(\"\\t x \\t\") ))": "x", "(( trim(\"xxaxx\", \"x\") ))": "a", "(( trim([\" a\", \"b \"]) ))": []any{"a", "b"}, "(( replace(domain, \".\", \"-\") ))": "example-com", "(( replace(\"aaa\", \"a\", \"b\", 2) ))": "bba",
		"(( replace(\"ab\", \"\", \"-\") ))": "-a-b-", "(( format(\"%5.1f|%-4s|%x|%q\", 3.14159, \"a\", 255, \"b\") ))": "  3.1|a   |ff|\"b\"", "(( format(\"100%%\") ))": "100%", "(( base64(base64_decode(\"YWJj\")) ))": "YWJj",
		"(( base64(\"\") ))": "", "(( asjson(nothing) ))": "null", "(( asjson([1, 2.5, \"a\\\"b\"]) ))": `[1,2.5,"a\"b"]`, "(( asjson(env) ))": `{"LOG_LEVEL":"info","a.b":"dot","with space":"blank"}`,
		"(( defined(env.LOG_LEVEL) -and !defined(env.NOPE) ))": true, "(( defined(hosts.[7]) ))": false, "(( [defined(x), defined(nothing)] ))": []any{false, true},
		// Texts around expressions, and what is no expression.
		"a(( 1 ))b(( 2.5 ))c(( tls ))": "a1b2.5ctrue", "(( domain )) ": "example.com ", "\n(( domain ))\n": "\nexample.com\n", "((domain))((domain))": "example.comexample.com", "$((1+1))": "$2",
		"(( \"a))b\" ))": "a))b", "f(x) (( domain ))": "f(x) example.com", "((!(( 1 ))": "(((( 1 ))", "(( \"ü\" \"\\u0041\" ))": "üA", "((\t1\t+\n1 ))": int64(2), "{{ .Values }}": "{{ .Values }}", "$(VAR) ${VAR}": "$(VAR) ${VAR}",
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			got, err := expr.Eval(t.Context(), in, settings(), expr.Limits{})
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v, -want +got:\n%s", err, diff)
			}
		})
	}
}

// TestErrorsTellWhere lets every kind of error say which reference, which function or which column it is about.
func TestErrorsTellWhere(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		// References by their name.
		"(( imgae.tag ))":                   `reference "imgae.tag" is not resolved: "imgae" is not there, only cpu, debug, domain`,
		"(( image.tga ))":                   `reference "image.tga" is not resolved: "tga" is not there, only digest, repository, tag`,
		"(( hosts.[2] ))":                   `reference "hosts.[2]" is not resolved: "index 2 of a list of 2" is not there`,
		"(( ports.grpc.port ))":             `reference "ports.grpc.port" is not resolved: "an element with the name grpc" is not there`,
		"(( domain.x ))":                    `reference "domain.x" is not resolved: "x of a text" is not there`,
		"(( nothing.x ))":                   `reference "nothing.x" is not resolved: "x of nil" is not there`,
		"x-(( image.tga ))-(( domain ))":    `reference "image.tga" is not resolved`,
		`(( join(",", hosts, image.tga) ))`: `reference "image.tga" is not resolved`,
		"(( tls ? nope :1 ))":               `reference "nope" is not resolved`,
		"(( [1, {\"a\" = nope}] ))":         `reference "nope" is not resolved`,
		// Operations by their column, which is that of the operator.
		"(( 1 / 0 ))":                   "column 6: division by zero",
		"ä: (( 1 + 2 % zero ))":         "column 13: division by zero",
		"(( domain + 1 ))":              `column 11: "+" does not work on a text and an integer`,
		"(( 1 + (tls - 1) ))":           `column 13: "-" does not work on a boolean and an integer`,
		"(( tls < 1 ))":                 `column 8: "<" does not work`,
		"(( 9223372036854775807 + 1 ))": "column 24: the result of + is out of range",
		"(( domain image ))":            "column 11: a map cannot be joined to a text",
		"(( image domain ))":            "column 10: a text cannot be joined to a map",
		"(( {1 = 2} ))":                 "column 4: the key of a map must be a text, not an integer",
		"(( hosts.[tls] ))":             "column 4: hosts.[tls]: a list is indexed by an integer or a name, not by a boolean",
		"(( image.[hosts] ))":           `reference "image.[hosts]" is not resolved`,
		"x-(( image ))":                 "(( image )) is a map, which cannot be part of a text",
		// Functions by their name, form and column.
		`a (( length(1) ))`:             "column 6: length: an integer has no length; the form is length(text, list or map)",
		`(( 1 + length(tls) ))`:         "column 8: length: a boolean has no length",
		`(( split(0, domain) ))`:        "column 4: split: argument 1 must be a text or a positive integer",
		`(( split(",", domain, "x") ))`: "column 4: split: argument 3 must be an integer",
		`(( join(image, 1) ))`:          "column 4: join: argument 1 must be a text",
		`(( join(",", [image]) ))`:      "column 4: join: argument 2 holds a map, which cannot be joined",
		`(( trim([1]) ))`:               "column 4: trim: element 0 of the list must be a text",
		`(( trim(" x", hosts) ))`:       "column 4: trim: argument 2 must be a text",
		`(( replace(1, 2, image) ))`:    "column 4: replace: argument 3 must be a text",
		`(( format("%d", domain) ))`:    "column 4: format: verb 1 does not fit a text",
		`(( format("%s %s", domain) ))`: "column 4: format: the text has more verbs than the 1 values",
		`(( format("%v", image) ))`:     "column 4: format: verb 1 does not fit a map",
		`(( base64(image) ))`:           "column 4: base64: argument 1 must be a text",
		`(( base64("a", tls) ))`:        "column 4: base64: argument 2 must be an integer",
		`(( base64_decode(domain) ))`:   "column 4: base64_decode: the text is not base64",
		`(( base64_decode("//79") ))`:   "column 4: base64_decode: the decoded bytes are not a text",
		// The language by its column.
		"(( image.repository ':' ))": "column 21: unexpected character '\\''",
		"(( nope(1) ))":              `column 4: unknown function "nope", only asjson, base64, base64_decode`,
		"(( length() ))":             "column 4: wrong number of arguments, the form is length(text, list or map)",
		"(( length(1, 2) ))":         "column 4: wrong number of arguments",
		"ö (( 1 + ))":                "column 10: an operand is missing at the end",
		"(( [1, 2 ))":                `column 11: unexpected ")"`,
		"(( (1 ))":                   `expected ")"`,
		"(( tls ? 1 ))":              `column 12: expected ":"`,
		"(( hosts.[*] ))":            `column 11: projections ("[*]") are not supported`,
		"(( hosts.[1 .. 3] ))":       `ranges and slices ("..") are not supported`,
		"(( tls && debug ))":         `column 8: unexpected "&&"; the logical operators are -and, -or and !`,
		"(( {\"a\": 1} ))":           `column 8: expected "=" between key and value`,
		"(( a::b ))":                 `column 5: tags ("::") are not supported`,
		// What does not exist by its name.
		`(( env("HOME") ))`:         `"env" is not supported: expressions can neither read anything but the values nor define code`,
		`(( read("/etc/passwd") ))`: `"read" is not supported`,
		`(( exec("id") ))`:          `"exec" is not supported`,
		`(( rand(5) ))`:             `"rand" is not supported`,
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			if got, err := expr.Eval(t.Context(), in, settings(), expr.Limits{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want an error with %q, got %v, %v", want, got, err)
			}
		})
	}
}

// TestHostile evaluates what is made to cost much: it ends by a limit, which the error tells, long before it costs it.
func TestHostile(t *testing.T) {
	t.Parallel()
	wrap := func(n int, open, inner, shut string) string {
		return "(( " + strings.Repeat(open, n) + inner + strings.Repeat(shut, n) + " ))"
	}
	double := func(n int, form string) string {
		e := "big"
		for range n {
			e = strings.ReplaceAll(form, "#", e)
		}
		return "(( " + e + " ))"
	}
	billion := object{}
	for i := range 30 {
		billion[fmt.Sprintf("l%d", i+1)] = []any{fmt.Sprintf("(( l%d ))", i), fmt.Sprintf("(( l%d ))", i)}
	}
	deep := any("x")
	for range 10_000 {
		deep = object{"k": deep}
	}
	values := object{"big": strings.Repeat("x", 1<<20), "quotes": strings.Repeat("\x01", 1<<20), "many": make([]any, 1<<20), "deep": deep}
	for i := range 1 << 20 {
		values["many"].([]any)[i] = "x"
	}
	for name, tc := range map[string]struct {
		in   any
		want string
	}{
		"nested parentheses":        {wrap(30_000, "(", "1", ")"), "nested deeper than 100"},
		"nested lists":              {wrap(20_000, "[", "1", "]"), "nested deeper than 100"},
		"nested maps":               {wrap(5_000, `{"a"=`, "1", "}"), "nested deeper than 100"},
		"nested calls":              {wrap(5_000, "length(", "1", ")"), "nested deeper than 100"},
		"nested choices":            {wrap(5_000, "1 ? ", "1", " :2"), "nested deeper than 100"},
		"nested negations":          {wrap(60_000, "!", "1", ""), "nested deeper than 100"},
		"nested indexes":            {wrap(10_000, "a.[", "1", "]"), "nested deeper than 100"},
		"long path":                 {"(( big" + strings.Repeat(".a", 10_000) + " ))", "nested deeper than 100"},
		"nested value":              {deep, "nested deeper than 100"},
		"long expression":           {"(( 1" + strings.Repeat(" + 1", 20_000) + " ))", "longer than 65536 bytes"},
		"many expressions":          {strings.Repeat("((1))", 13_000) + strings.Repeat(" ", 1000), "longer than 65536 bytes"},
		"many values":               {make([]any, 200_000), "more than 100000 steps"},
		"doubled text":              {double(6, "# #"), "builds more than 8388608 bytes"},
		"doubled list":              {double(6, "[#, #] [#]"), "builds more than"},
		"doubled JSON":              {"(( asjson([asjson([quotes, quotes]), quotes]) ))", "builds more than"},
		"quotes of quotes":          {"(( " + strings.Repeat("asjson(", 25) + `"\""` + strings.Repeat(")", 25) + " ))", "builds more than"},
		"replaced by itself":        {`(( replace(replace(replace("xxxxxxxx", "x", big), "x", big), "x", big) ))`, "builds more than"},
		"nothing replaced":          {`(( replace(big, "", big) ))`, "builds more than"},
		"joined by much":            {`(( join(big, many) ))`, "more than"},
		"split to pieces":           {`(( split("", big) ))`, "builds more than"},
		"split to single letters":   {`(( split(1, big) ))`, "builds more than"},
		"lines of a letter":         {`(( base64(big, 1) base64(big, 1) base64(big, 1) ))`, "builds more than"},
		"base64 of base64":          {"(( " + strings.Repeat("base64(", 12) + "big" + strings.Repeat(")", 12) + " ))", "builds more than"},
		"list of lists":             {"(( many" + strings.Repeat(" many", 9) + " ))", "builds more than"},
		"copies of a list":          {"(( [" + strings.Repeat("many, ", 3) + "1] ))", "builds more than"},
		"copies by interpolation":   {strings.Repeat("(( big ))", 100), "builds more than"},
		"width of a verb":           {`(( format("%999d%999d", 1, 1) format("%99999d", 1) ))`, "width of verb 1 is too large"},
		"trimmed letter by letter":  {`(( [` + strings.Repeat("trim(big), ", 70) + `1] ))`, "more than"},
		"compared again and again":  {"(( " + strings.Repeat("big == big -and ", 30) + "1 ))", "builds more than"},
		"searched again and again":  {"(( [" + strings.Repeat("many.nobody || 1, ", 30) + "1] ))", "reads more than"},
		"measured again and again":  {"(( " + strings.Repeat("length(big) + ", 100) + "1 ))", "reads more than"},
		"values that refer to some": {billion, `reference "l0" is not resolved`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := expr.Eval(t.Context(), tc.in, values, expr.Limits{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("want an error with %q, got %.300v", tc.want, err)
			}
			if limited := !strings.Contains(tc.want, "width") && !strings.Contains(tc.want, "reference"); limited != errors.Is(err, expr.ErrLimit) {
				t.Errorf("want ErrLimit %t, got %.300v", limited, err)
			}
		})
	}
}
