package expr

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// Values are nil, bool, int64, float64, string, []any and map[string]any.

// maxNumber is the length of the longest number, so that reading one is a short step.
const maxNumber = 1000

// normal turns a scalar of other decoders into one of the types above.
func normal(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, int64, float64, string, []any, map[string]any:
		return v, nil
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case uint64:
		if v > math.MaxInt64 {
			return float64(v), nil
		}
		return int64(v), nil
	case json.Number:
		if len(v) > maxNumber {
			return nil, failf("a number has more than %d characters", maxNumber)
		}
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, failf("a number is out of range, or is none")
		}
		return f, nil
	case time.Time:
		return v.Format(time.RFC3339Nano), nil
	default:
		return nil, failf("values of type %T are not supported", v)
	}
}

// typeName is the name of a type with its article.
func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "nil"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a number"
	case string:
		return "a text"
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	default:
		return fmt.Sprintf("a %T", v)
	}
}

// text renders a scalar, as concatenation and interpolation need it.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	default:
		return "", false
	}
}

// truth is false for nil, false, zero and everything empty.
func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	default:
		return true
	}
}

func equal(a, b any) bool {
	a, errA := normal(a)
	b, errB := normal(b)
	if errA != nil || errB != nil {
		return false
	}
	if x, y, ok := floats(a, b); ok {
		return x == y
	}
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equal)
	default:
		switch b.(type) {
		case []any, map[string]any:
			return false
		}
		return a == b
	}
}

// floats gives both operands as floating point numbers unless both are integers.
func floats(a, b any) (float64, float64, bool) {
	x, intA := a.(int64)
	y, intB := b.(int64)
	if intA && intB {
		return 0, 0, false
	}
	fa, okA := a.(float64)
	fb, okB := b.(float64)
	if intA {
		fa, okA = float64(x), true
	}
	if intB {
		fb, okB = float64(y), true
	}
	return fa, fb, okA && okB
}

// size estimates the bytes that a value takes when it is written. It stops counting above most.
func size(v any, most int) int {
	n := 8
	switch v := v.(type) {
	case string:
		n += len(v)
	case []any:
		for _, item := range v {
			if n += size(item, most-n); n > most {
				return n
			}
		}
	case map[string]any:
		for key, item := range v {
			if n += len(key) + size(item, most-n-len(key)); n > most {
				return n
			}
		}
	}
	return n
}
