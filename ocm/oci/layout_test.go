package oci_test

import (
	"archive/tar"
	"bytes"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

func archive(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, h := range entries {
		content := "meta: {}"
		if h.Typeflag == 0 || h.Typeflag == tar.TypeReg {
			if h.Size == 0 {
				h.Size = int64(len(content))
			} else {
				content = strings.Repeat("x", int(h.Size))
			}
		}
		h.Mode = 0o644
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := tw.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestReadDescriptorTar(t *testing.T) {
	t.Parallel()
	const name = "component-descriptor.yaml"
	cases := map[string]struct {
		data []byte
		ok   bool
	}{
		"plain":          {archive(t, tar.Header{Name: name}), true},
		"leading slash":  {archive(t, tar.Header{Name: "/" + name}), true},
		"leading dot":    {archive(t, tar.Header{Name: "./" + name}), true},
		"after another":  {archive(t, tar.Header{Name: "x"}, tar.Header{Name: name}), true},
		"missing":        {archive(t, tar.Header{Name: "x"}), false},
		"twice":          {archive(t, tar.Header{Name: name}, tar.Header{Name: name}), false},
		"link":           {archive(t, tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), false},
		"too large":      {archive(t, tar.Header{Name: name, Size: descriptor.MaxBytes + 1}), false},
		"in a directory": {archive(t, tar.Header{Name: "a/" + name}), false},
		"many entries":   {archive(t, make([]tar.Header, 20)...), false},
		"no archive":     {[]byte("meta: {}"), false},
		"empty":          {nil, false},
	}
	for name, tc := range cases {
		got, err := oci.ReadDescriptorTar(tc.data, descriptor.MaxBytes)
		if (err == nil) != tc.ok || (tc.ok && string(got) != "meta: {}") {
			t.Errorf("%s: ReadDescriptorTar = %q, %v", name, got, err)
		}
	}
}

func FuzzReadDescriptorTar(f *testing.F) {
	f.Add(archive(f, tar.Header{Name: "component-descriptor.yaml"}))
	f.Add(archive(f, tar.Header{Name: "component-descriptor.yaml", Typeflag: tar.TypeSymlink, Linkname: "x"}))
	f.Add([]byte("no archive"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := oci.ReadDescriptorTar(data, descriptor.MaxBytes)
		if err == nil && (got == nil || len(got) > descriptor.MaxBytes || len(got) > len(data)) {
			t.Errorf("%d bytes were read from an archive of %d", len(got), len(data))
		}
	})
}
