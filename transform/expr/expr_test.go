package expr_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/transform/expr"
)

type object = map[string]any

func root() object {
	return object{
		"message": "Hello, world!", "color": "red", "replicas": int64(3), "half": 0.5, "on": true, "off": false,
		"none": nil, "empty": "", "version": "6.3.6", "numeric": "123", "key": "b", "merge": "m", "max-surge": int64(1),
		"a":     object{"b": object{"c": "deep"}, "x.y": "dotted", "list": []any{"p", "q"}},
		"list":  []any{int64(1), "two", object{"name": "alice", "age": int64(25)}},
		"words": []any{" x ", "y"}, "path": []any{"b", "c"}, "data": "(( color ))",
		"int": int(7), "number": json.Number("8"), "float": json.Number("1.25"), "uint": uint64(9),
		"day": time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC), "0": "zero", "true": "yes",
	}
}

func TestEval(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]any{
		// Text without expressions.
		"": "", "plain": "plain", "a ( b ) c": "a ( b ) c", "x)) y": "x)) y", "open (( only": "open (( only",
		// References keep their type.
		"(( message ))": "Hello, world!", "((message))": "Hello, world!", "(( replicas ))": int64(3), "(( half ))": 0.5,
		"(( on ))": true, "(( none ))": nil, "(( a.b ))": object{"c": "deep"}, "(( a.b.c ))": "deep", "(( .a.b.c ))": "deep",
		"(( list ))": root()["list"], "(( list.[0] ))": int64(1), "(( list[1] ))": "two", "(( list.[-1].age ))": int64(25),
		"(( list.alice.age ))": int64(25), "(( a.[key].c ))": "deep", "(( a[key] ))": object{"c": "deep"}, "(( a.[path] ))": "deep",
		`(( a.["x.y"] ))`: "dotted", "(( max-surge ))": int64(1), "(( .merge ))": "m", "(( .true ))": "yes", "(( .0 ))": "zero",
		"(( int ))": int64(7), "(( number ))": int64(8), "(( float ))": 1.25, "(( uint ))": int64(9), "(( day ))": "2024-01-02T00:00:00Z",
		"(( version ))": "6.3.6", "(( numeric ))": "123", "((\n  color\n))": "red", "(( a.list.[0] ))": "p",
		// Values are data: a text in them is not evaluated.
		"(( data ))": "(( color ))", "x(( data ))": "x(( color ))",
		// Literals.
		`(( "text" ))`: "text", `(( "a\"b\u00e4\n" ))`: "a\"bä\n", `(( "))" ))`: "))", `(( "((" ))`: "((", `(( "" ))`: "",
		"(( 1 ))": int64(1), "(( -1 ))": int64(-1), "(( 1_000 ))": int64(1000), "(( 1.5 ))": 1.5, "(( -1.5e2 ))": -150.0, "(( 2e3 ))": 2000.0,
		"(( true ))": true, "(( false ))": false, "(( nil ))": nil, "(( ~ ))": nil,
		"(( [] ))": []any{}, `(( [1, "a", color] ))`: []any{int64(1), "a", "red"}, "(( [[1], [2]] ))": []any{[]any{int64(1)}, []any{int64(2)}},
		`(( {"k" = 1, color = [2]} ))`: object{"k": int64(1), "red": []any{int64(2)}}, "(( {} ))": object{}, `(( {"k" = 5}.k ))`: int64(5),
		"(( [4, 5].[1] ))": int64(5), "(( (list).[0] ))": int64(1),
		// Concatenation.
		`(( "x-" color ))`: "x-red", `(( color "-" replicas "-" on ))`: "red-3-true", `(( "a" "b" ))`: "ab", `(( 1 2 ))`: "12",
		`(( replicas -1 ))`: "3-1", `(( "v" 1.5 ))`: "v1.5", `(( [1] 2 "a" ))`: []any{int64(1), int64(2), "a"},
		`(( [1] [2] ))`: []any{int64(1), int64(2)}, "(( words [3] ))": []any{" x ", "y", int64(3)},
		`(( {"a" = 1, "b" = 1} {"b" = 2} ))`: object{"a": int64(1), "b": int64(2)}, `(( "n: " 2 * replicas ))`: "n: 6", `(( "a" (color) ))`: "ared",
		// Defaults.
		`(( nope || "d" ))`: "d", `(( a.nope || color ))`: "red", `(( nope || nada || 1 ))`: int64(1), `(( none || "d" ))`: nil,
		`(( none // "d" ))`: "d", `(( nope // "d" ))`: "d", `(( false || true ))`: false, `(( color || nope ))`: "red", `(( "x" nope || "d" ))`: "d",
		`(( list.[9] || 0 ))`: int64(0), `(( color.x || 0 ))`: int64(0), `(( list.bob || 0 ))`: int64(0),
		// Arithmetic.
		"(( 1 + 2 * 3 ))": int64(7), "(( (1 + 2) * 3 ))": int64(9), "(( 7 / 2 ))": int64(3), "(( 7 % 4 ))": int64(3), "(( 7 - 2 - 1 ))": int64(4),
		"(( 7.0 / 2 ))": 3.5, "(( half + 1 ))": 1.5, "(( replicas - 1 ))": int64(2), "(( replicas*2 ))": int64(6), "(( 1.5 - 0.5 ))": 1.0, "(( 2 * half ))": 1.0,
		"(( 3 - -1 ))": int64(4), "(( length(list)-1 ))": int64(2),
		// Comparison.
		"(( 1 == 1 ))": true, "(( 1 == 1.0 ))": true, `(( "1" == 1 ))`: false, `(( color == "red" ))`: true, "(( list == list ))": true, "(( a != list ))": true,
		"(( none == nil ))": true, "(( 1 < 2 ))": true, "(( 2 <= 1 ))": false, "(( 2 > 1.5 ))": true, "(( 2 >= 2 ))": true, `(( "a" < "b" ))`: true,
		"(( a.b == {\"c\" = \"deep\"} ))": true, "(( int == 7 ))": true, "(( [int] == [7] ))": true,
		// Logic.
		"(( on -and off ))": false, "(( on -or off ))": true, "(( !on ))": false, "(( !!on ))": true, "(( 5 -or 6 ))": int64(7), "(( 5 -and 6 ))": int64(4),
		"(( off -and nope ))": false, "(( on -or nope ))": true, "(( !empty ))": true, "(( !list ))": false, "(( 1 == 1 -and 2 == 2 ))": true, "(( ! none ))": true,
		// Choice.
		`(( on ? 1 : 2 ))`: int64(1), `(( off ? 1 : 2 ))`: int64(2), `(( replicas > 2 ? "many" :"few" ))`: "many", `(( on ? off ? 1 : 2 : 3 ))`: int64(2),
		`(( empty ? nope : color ))`: "red", `(( 0 ? 1 : 2 ))`: int64(2), `(( 0.0 ? 1 : 2 ))`: int64(2),
		// Functions.
		`(( join("-", "a", words, 1) ))`: "a- x -y-1", `(( join(",") ))`: "", `(( split(",", "a,b") ))`: []any{"a", "b"}, `(( split(",", "a,b,c", 2) ))`: []any{"a", "b,c"},
		`(( split(4, "1234567890") ))`: []any{"1234", "5678", "90"}, `(( split(2, "123456", 2) ))`: []any{"12", "3456"}, `(( trim(" x ") ))`: "x", `(( trim(words) ))`: []any{"x", "y"},
		`(( trim("--x-", "-") ))`: "x", `(( replace("foobar", "o", "u") ))`: "fuubar", `(( replace("foobar", "o", "u", 1) ))`: "fuobar",
		`(( length("häh") ))`: int64(3), `(( length(list) ))`: int64(3), `(( length(a) ))`: int64(3), `(( format("%s-%03d-%.2f-%t%%", color, 7, 0.5, on) ))`: "red-007-0.50-true%",
		`(( base64("test") ))`: "dGVzdA==", `(( base64("test", 4) ))`: "dGVz\ndA==", `(( base64_decode("dGVzdA==") ))`: "test",
		`(( asjson(a.list) ))`: `["p","q"]`, `(( asjson({"b" = 1, "a" = "<"}) ))`: `{"a":"<","b":1}`, `(( defined(color) ))`: true, `(( defined(nope) ))`: false,
		`(( defined(none) ))`: true, `(( defined(1 / 0) ))`: false, `(( defined(a.b) ? a.b.c : "d" ))`: "deep", `(( split(",", "a,b").[1] ))`: "b", `(( (( 1 )) ))`: int64(1),
		// Interpolation gives text.
		"x-(( color ))-y": "x-red-y", "(( color ))(( replicas ))": "red3", " (( replicas ))": " 3", "(( replicas ))\n": "3\n", "v(( half ))": "v0.5",
		`x(( "))" ))y`: "x))y", "(( on ))-(( off )) ((": "true-false ((", "f((( 1 )))": "f1",
		// Escapes.
		"((! color ))": "(( color ))", "((!! color ))": "((! color ))", "x ((! a )) (( color ))": "x (( a )) red", "((!": "((!",
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			got, err := expr.Eval(t.Context(), in, root(), expr.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestEvalNested(t *testing.T) {
	t.Parallel()
	in := object{"(( color ))": []any{"(( replicas ))", object{"k": "x-(( color ))"}, int(1), true, nil}}
	want := object{"(( color ))": []any{int64(3), object{"k": "x-red"}, int64(1), true, nil}}
	got, err := expr.Eval(t.Context(), in, root(), expr.Limits{})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, -want +got:\n%s", err, diff)
	}
	_, err = expr.Eval(t.Context(), object{"env": []any{object{"value": "(( nope ))"}}}, root(), expr.Limits{})
	if err == nil || !strings.HasPrefix(err.Error(), `env: [0]: value: reference "nope" is not resolved`) {
		t.Errorf("the error does not name the place: %v", err)
	}
}

func TestEvalForbidden(t *testing.T) {
	t.Parallel()
	for in, name := range map[string]string{
		`(( read("/etc/passwd") ))`: "read", `(( exec("id") ))`: "exec", `(( env("HOME") ))`: "env", `(( lookup("a") ))`: "lookup",
		`(( lookup_file("a", "b") ))`: "lookup_file", `(( merge ))`: "merge", `(( merge || 1 ))`: "merge", `(( merge(a, b) ))`: "merge",
		`(( rand(10) ))`: "rand", `(( x509cert({}) ))`: "x509cert", `(( x509whatever(1) ))`: "x509whatever", `(( lambda |x|-> x ))`: "lambda",
		`(( |x|-> x ))`: "lambda", `(( &temporary ))`: "&temporary", `(( &temporary (1) ))`: "&temporary", `(( map[list|x|-> x] ))`: "map[",
		`(( select{a|x|-> x} ))`: "select{", `(( eval("a") ))`: "eval", `(( pipe(1, "cat") ))`: "pipe", `(( write("a", "b") ))`: "write", `(( stub() ))`: "stub",
		`(( auto ))`: "auto", `(( prefer a ))`: "prefer", `(( mkdir("/x") ))`: "mkdir", `(( load("x") ))`: "load", `(( strenv("x") ))`: "strenv",
		`(( false ? read("/x") : 1 ))`: "read", `x-(( env("HOME") ))`: "env", `(( defined(env("HOME")) ))`: "env", `(( nope || env("HOME") ))`: "env",
		`(( tempfile("x") ))`: "tempfile", `(( list_files("/") ))`: "list_files", `(( decrypt("x") ))`: "decrypt", `(( sync[a|b] ))`: "sync[",
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			_, err := expr.Eval(t.Context(), in, root(), expr.Limits{})
			var forbidden *expr.ForbiddenError
			if !errors.As(err, &forbidden) || forbidden.Name != name {
				t.Errorf("want the ForbiddenError of %q, got %v", name, err)
			}
		})
	}
}

func TestEvalUnresolved(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"(( nope ))": "nope", "(( nope.x.y ))": "nope.x.y", "(( a.nope ))": "a.nope", "(( a.b.nope.z ))": "a.b.nope.z", "(( list.[5] ))": "list.[5]",
		"(( list.bob ))": "list.bob", "(( color.x ))": "color.x", "(( 1 + nope ))": "nope", "x(( a.nope ))": "a.nope", "(( .nope ))": "nope",
		"(( null ))": "null", "(( list.[-4] ))": "list.[-4]", "(( a.[path].x ))": "a.[path].x",
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			_, err := expr.Eval(t.Context(), in, root(), expr.Limits{})
			var unresolved *expr.UnresolvedError
			if !errors.As(err, &unresolved) || unresolved.Reference != want || !strings.Contains(err.Error(), want) {
				t.Errorf("want the UnresolvedError of %q, got %v", want, err)
			}
		})
	}
}

func TestEvalSyntax(t *testing.T) {
	t.Parallel()
	for in, column := range map[string]int{
		"(( ))": 4, "(( a": 0, "(( a . b ))": 8, "(( a + ))": 8, `(( "a ))`: 4, "(( a ) ))": 6, "(( [1 ))": 8, "(( f(1) ))": 4, "(( join() ))": 4,
		"(( a && b ))": 6, "ä (( a § b ))": 8, "(( a ? b ))": 10, "(( 10.0.0.1.x ))": 0, "(( [1..3] ))": 6, "(( list.[*] ))": 10, "(( a.b(1) ))": 7,
		"(( a::b ))": 5, `(( {"a" 1} ))`: 0, "(( 1e999 ))": 4, `(( "\x" ))`: 4, "(( a, b ))": 5, "(( ~~ ))": 4, "(( $x ))": 4, "(( a = b ))": 6, "(( a.-1 ))": 6, "(( a] ))": 5,
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			got, err := expr.Eval(t.Context(), in, root(), expr.Limits{})
			var syntax *expr.SyntaxError
			switch {
			case !strings.Contains(in, "))"):
				if got != in {
					t.Errorf("want the text itself, got %v", got)
				}
			case column == 0 && err == nil:
				t.Errorf("want an error, got %v", got)
			case column > 0 && (!errors.As(err, &syntax) || syntax.Column != column):
				t.Errorf("want a SyntaxError at column %d, got %v", column, err)
			}
		})
	}
}

func TestEvalFails(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"(( 1 / 0 ))": "division by zero", "(( 1 % 0 ))": "division by zero", "(( 1.0 / 0 ))": "division by zero", `(( "a" + 1 ))`: "does not work on a text",
		"(( 9223372036854775807 + 1 ))": "out of range", "(( -9223372036854775808 - 1 ))": "out of range", "(( 9223372036854775807 * 2 ))": "out of range",
		"(( 1e308 * 10 ))": "out of range", "(( 1.5 % 2 ))": "integers only", `(( color a ))`: "cannot be joined", "(( a color ))": "cannot be joined to a map",
		"x(( a ))": "cannot be part of a text", "x(( none ))": "cannot be part of a text", "(( 1 < \"a\" ))": "does not work", "(( length(1) ))": "has no length",
		`(( base64_decode("%") ))`: "not base64", `(( base64_decode("/w==") ))`: "not a text", `(( join(a, 1) ))`: "join: argument 1 must be a text",
		`(( format("%d", "x") ))`: "does not fit", `(( format("%s") ))`: "more verbs", `(( format("x", 1) ))`: "0 verbs for 1", `(( format("%9999999d", 1) ))`: "too large",
		`(( format("%12345d", 1) ))`: "too large", `(( format("%*d", 1) ))`: "does not fit", `(( format("%") ))`: "within a verb", `(( split(0, "a") ))`: "positive",
		`(( replace("a", "a", "b", "x") ))`: "must be an integer", `(( trim([1]) ))`: "must be a text", `(( {1 = 2} ))`: "key of a map must be a text", `(( list.[on] ))`: "indexed by an integer",
		`(( a.[list] ))`: "is not resolved", `(( join(",", [a]) ))`: "holds a map",
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			got, err := expr.Eval(t.Context(), in, root(), expr.Limits{})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want an error with %q, got %v, %v", want, got, err)
			}
		})
	}
}

func TestEvalLimits(t *testing.T) {
	t.Parallel()
	nested := any("x")
	for range 200 {
		nested = []any{nested}
	}
	bomb := `"xxxxxxxxxxxxxxxx"`
	for range 8 {
		bomb = `replace(` + bomb + `, "x", "xxxxxxxxxxxxxxxx")`
	}
	big := object{"big": strings.Repeat("x", 1<<20), "key": "value"}
	for name, in := range map[string]any{
		"source": "(( " + strings.Repeat("x", 1<<16) + " ))", "depth": "(( " + strings.Repeat("(", 1000) + "1" + strings.Repeat(")", 1000) + " ))",
		"negations": "(( " + strings.Repeat("!", 1000) + "true ))", "path": "(( key" + strings.Repeat(".a", 1000) + " ))", "value depth": nested, "replace": "(( " + bomb + " ))",
		"copies": "(( [" + strings.Repeat("big,", 20) + "1] ))", "text": strings.Repeat("(( big ))", 20), "compare": "(( " + strings.Repeat("big == big -and ", 20) + " 1 ))",
		"steps": func() any {
			var items []any
			for range 100_001 {
				items = append(items, "x")
			}
			return items
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := expr.Eval(t.Context(), in, big, expr.Limits{}); !errors.Is(err, expr.ErrLimit) {
				t.Errorf("want ErrLimit, got %.200v", err)
			}
		})
	}
}

// TestEvalKeepsValuesSecret lets everything fail that could quote a value.
func TestEvalKeepsValuesSecret(t *testing.T) {
	t.Parallel()
	data := object{
		"secret": "s3cr3t", "pin": int64(9223372036854775807), "big": json.Number("1e9999"), "long": json.Number(strings.Repeat("9", 2000)),
		"map": object{"k": "v"}, "list": []any{"v"}, "verb": "s3cr3t %s3cr3t", "wide": "%9999s3cr3t",
	}
	for _, in := range []string{
		"(( map.[secret] ))", "(( list.[secret] ))", "(( list.[pin] ))", "(( secret.x ))", "(( secret.[secret] ))", "(( map.[[secret]] ))", "(( pin + 1 ))", "(( -2 - pin ))", "(( pin * pin ))",
		"(( big ))", "(( long ))", "(( secret + 1 ))", "(( secret < 1 ))", "(( format(verb, secret, 1) ))", "(( format(wide, secret) ))", "(( format(secret, secret) ))", "(( base64_decode(secret) ))",
		"(( split(secret, map) ))", "(( length(pin) ))", "(( {pin = secret} ))", "(( map secret ))", "(( join(secret, map) ))", "(( replace(secret, map, secret) ))", "(( trim(list, map) ))", "x-(( map ))",
	} {
		got, err := expr.Eval(t.Context(), in, data, expr.Limits{})
		if err == nil || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "9223372036854775807") || strings.Contains(err.Error(), "99999999999") || strings.Contains(err.Error(), "1e9999") {
			t.Errorf("%s: want an error without the value, got %v, %v", in, got, err)
		}
	}
}

// TestEvalTime bounds what few steps may cost in time, whatever they return.
func TestEvalTime(t *testing.T) {
	t.Parallel()
	people := make([]any, 100_000)
	for i := range people {
		people[i] = object{"name": "someone"}
	}
	data := object{
		"big": strings.Repeat("x", 1<<20), "bigger": strings.Repeat("x", 1<<20) + "y", "wide": strings.Repeat("\u00e4", 100_000),
		"cut": strings.Repeat("\u00fc", 100_000) + "\u00e4", "people": people, "blanks": make([]any, 0), "key": strings.Repeat("k", 1<<20), "map": object{},
	}
	blanks := make([]any, 100_000)
	for i := range blanks {
		blanks[i] = ""
	}
	data["blanks"] = blanks
	for name, tc := range map[string]struct {
		in    string
		times int
	}{
		"trim":      {"(( trim(wide, cut) ))", 1},
		"trim list": {"(( trim([wide], cut) ))", 1},
		"length":    {"(( length(big) ))", 2000},
		"compare":   {"(( big < bigger ))", 2000},
		"name":      {"(( people.nobody || 1 ))", 3000},
		"key":       {"(( map.[key] || 1 ))", 2000},
		"new key":   {"(( length({key = 1}) ))", 2000},
		"join":      {`(( join("", blanks) ))`, 2000},
		"base64":    {`(( defined(base64_decode(key)) ))`, 2000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := expr.NewEvaluator(data, expr.Limits{})
			for range tc.times {
				_, err := e.Eval(t.Context(), tc.in)
				if errors.Is(err, expr.ErrLimit) {
					return
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			t.Errorf("%d evaluations of %s passed the limits", tc.times, tc.in)
		})
	}
}

func TestEvalStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	e := expr.NewEvaluator(root(), expr.Limits{})
	if _, err := e.Eval(ctx, "(( color ))"); err != nil {
		t.Fatal(err)
	}
	cancel()
	for _, in := range []string{"(( color ))", "(( defined(color) ))", "(( color || 1 ))"} {
		if _, err := e.Eval(ctx, in); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: want context.Canceled, got %v", in, err)
		}
	}
	late, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	many := make([]any, 1_000_000)
	for i := range many {
		many[i] = "(( defined(list.[0]) ))"
	}
	if _, err := expr.Eval(late, many, root(), expr.Limits{Steps: 1 << 40}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want context.DeadlineExceeded, got %v", err)
	}
}

func FuzzEval(f *testing.F) {
	for _, seed := range []string{
		"(( a.b.c ))", "x-(( color ))-y", `(( "a" 1 + 2 || [1, {"k" = ~}] ))`, "((! a ))", "(( a ? b : c ))", `(( join(",", list) ))`, "(( list.[-1].name // 1.5e3 ))",
		`(( format("%s-%d", color, 3) ))`, "(( &temporary ))", "(( |x|->x ))", `(( replace("a", "", "bb") ))`, "(( ((1)) ))", "((((", "))((", `(( "\ud800" ))`, "(( -and ))", "(( a -1 - -1 ))",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		before := root()
		data := root()
		first, err := expr.Eval(t.Context(), in, data, expr.Limits{Steps: 10_000, Output: 1 << 20})
		if diff := cmp.Diff(before, data); diff != "" {
			t.Fatalf("the values were changed:\n%s", diff)
		}
		again, errAgain := expr.Eval(t.Context(), in, data, expr.Limits{Steps: 10_000, Output: 1 << 20})
		if !cmp.Equal(first, again) || (err == nil) != (errAgain == nil) {
			t.Fatalf("two evaluations differ: %v, %v and %v, %v", first, err, again, errAgain)
		}
		if !strings.Contains(in, "((") && first != in {
			t.Fatalf("a text without an expression became %v", first)
		}
	})
}

func BenchmarkEval(b *testing.B) {
	data := root()
	for name, in := range map[string]string{
		"reference":     "(( a.b.c ))",
		"interpolation": "https://(( color )).example.com/(( version ))",
		"expression":    `(( replicas > 2 -and defined(a.b) ? join("-", list.[1], color) : nope || "x" ))`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := expr.Eval(b.Context(), in, data, expr.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
