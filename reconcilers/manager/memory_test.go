package manager

import (
	"io/fs"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"version 2":           {map[string]string{cgroupLimits[0]: "268435460\n"}, 241591914},
		"version 2, none":     {map[string]string{cgroupLimits[0]: "max\n"}, 0},
		"version 1":           {map[string]string{cgroupLimits[1]: "1000\n"}, 900},
		"version 1, none":     {map[string]string{cgroupLimits[1]: "9223372036854771712\n"}, 0},
		"no container":        {nil, 0},
		"something unknown":   {map[string]string{cgroupLimits[0]: "-1", cgroupLimits[1]: ""}, 0},
		"both, as in a nest":  {map[string]string{cgroupLimits[0]: "2000", cgroupLimits[1]: "1000"}, 900},
		"a limit of a nobody": {map[string]string{cgroupLimits[0]: "0"}, 0},
	} {
		read := func(path string) ([]byte, error) {
			content, ok := test.files[path]
			if !ok {
				return nil, fs.ErrNotExist
			}
			return []byte(content), nil
		}
		if got := memoryLimit(read); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
}
