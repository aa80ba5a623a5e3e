package remote

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
)

func line(text string) string {
	return fmt.Sprintf("%04x%s", len(text)+4, text)
}

func noSecrets() *Remote {
	r := &Remote{options: Options{UserAgent: defaultAgent}, secrets: secretsOf(Options{Auth: Auth{Password: "secret-of-ann"}})}
	return r
}

// checkText fails for an error that repeats too much, or what a terminal would obey, or a credential.
func checkText(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	text := err.Error()
	if len(text) > 2*maxText || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) || strings.Contains(text, "secret-of-ann") {
		t.Errorf("an error of %d bytes: %q", len(text), text)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"https://github.com/acme/fleet", "git@github.com:acme/fleet.git", "ssh://git@host:22/~a/b", "http://[::1]:80/a", "ext::sh", "-x", "https://a:b@c/d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := ParseURL(raw)
		if err != nil {
			checkText(t, err)
			return
		}
		if strings.HasPrefix(u.Path, "-") || strings.HasPrefix(u.Host, "-") || strings.HasPrefix(u.User, "-") || u.Scheme != schemeSSH && u.User != "" {
			t.Errorf("%q is taken as %+v", raw, u)
		}
		again, err := ParseURL(u.String())
		if err != nil && len(u.String()) <= maxURL || err == nil && *again != *u {
			t.Errorf("%q is %+v, written as %q and read as %+v (%v)", raw, u, u, again, err)
		}
	})
}

func FuzzAdvertisement(f *testing.F) {
	hash := strings.Repeat("a", hexHash)
	f.Add([]byte(line("# service=git-upload-pack\n") + "0000" + line(hash+" HEAD\x00shallow filter symref=HEAD:refs/heads/main\n") + line(hash+" refs/heads/main\n") + line(hash+" refs/tags/v1^{}\n") + "0000"))
	f.Add([]byte(line(strings.Repeat("0", hexHash)+" capabilities^{}\x00report-status object-format=sha1\n") + "0000"))
	f.Add([]byte("0000"))
	f.Add([]byte(line("version 1\n") + line("ERR secret-of-ann\x1b[2J")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := noSecrets()
		advert, err := readAdvertisement(bytes.NewReader(raw), advertLimits{refs: 100}, r.clean)
		checkText(t, err)
		if err == nil && (len(advert.refs.Branches) > 100 || advert.refs.Empty != (len(advert.refs.Branches) == 0)) {
			t.Errorf("%d branches, empty %t", len(advert.refs.Branches), advert.refs.Empty)
		}
	})
}

func FuzzReport(f *testing.F) {
	for _, seed := range []string{
		line("unpack ok\n") + line("ok refs/heads/main\n") + "0000",
		line("unpack ok\n") + line("ng refs/heads/main pre-receive hook declined\n") + "0000",
		line("unpack index-pack abnormal exit\n") + line("ng refs/heads/main unpacker error\n") + "0000",
		line("unpack ok\n") + line("ng refs/heads/main failed to update ref secret-of-ann\n") + "0000",
	} {
		f.Add([]byte(line("\x02remote: secret-of-ann\n")+line("\x01"+seed)+"0000"), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, banded bool) {
		r := noSecrets()
		err := r.report(&httpConversation{}, bytes.NewReader(raw), Update{Branch: "main"}, "refs/heads/main", banded)
		checkText(t, err)
		if err == nil && (!bytes.Contains(raw, []byte("unpack ok")) || !bytes.Contains(raw, []byte("ok refs/heads/main"))) && !banded {
			t.Errorf("%q is taken as a success", raw)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(line("shallow "+strings.Repeat("a", hexHash))+"0000"+line("NAK\n")+line("\x01PACK")+line("\x02counting secret-of-ann")+"0000"), true)
	f.Add([]byte(line("NAK\n")+line("\x03fatal: secret-of-ann")), false)
	f.Fuzz(func(t *testing.T, raw []byte, shallow bool) {
		r := noSecrets()
		from := bytes.NewReader(raw)
		if err := r.acknowledged(from, want{shallow: shallow}); err != nil {
			checkText(t, err)
			return
		}
		n, err := io.Copy(io.Discard, newSideband(from, r.clean))
		checkText(t, err)
		if n > int64(len(raw)) {
			t.Errorf("%d bytes came of %d", n, len(raw))
		}
	})
}

// FuzzKnownHosts reads what a Secret says about hosts.
func FuzzKnownHosts(f *testing.F) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKJ1RSiTBOsYyQvOYhhAvBhmMrlDLuzH3ZOPSJ1lLwCb"
	for _, seed := range []string{"h " + key, "[h]:22,!x,*.y " + key, "@cert-authority * " + key, "@revoked h " + key + "\nh " + key, "|1|AAAA|AAAA " + key, "# h\n\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := parseKnownHosts(raw, &URL{Host: "h", Port: "22"}, t.TempDir())
		if err == nil && len(keys.algorithms) == 0 {
			t.Errorf("%q has keys of the host, and no way to show them", raw)
		}
	})
}

// FuzzPatch applies differences.
func FuzzPatch(f *testing.F) {
	f.Add([]byte("base"), []byte("\x04\x06\x90\x04\x02ab"))
	f.Add([]byte("base"), []byte("\x04\xff\xff\xff\xff\x0f\x90\x04"))
	f.Fuzz(func(t *testing.T, base, delta []byte) {
		p := &pack{work: 1000}
		if content, err := p.patch(base, delta, 100); err == nil && len(content) > 100 {
			t.Errorf("%d bytes came of %q, want at most 100", len(content), delta)
		}
	})
}

// FuzzPack reads packs, and everything that they say is in them.
func FuzzPack(f *testing.F) {
	for _, seed := range packSeeds(f) {
		f.Add(seed[:len(seed)-sha1.Size])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		// The sum at the end would refuse all that is tried.
		sum := sha1.Sum(raw)
		raw = append(raw, sum[:]...)
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		const limit = 1 << 16
		p, err := readPack(t.Context(), file, bytes.NewReader(raw), limit)
		if err != nil {
			return
		}
		// What trees name is bounded, and an error is as good as an answer.
		if names, _, err := p.files(t.Context(), 100); err == nil && len(names) > 100 {
			t.Errorf("%d files, want at most 100", len(names))
		}
		for i := range p.entries {
			e := p.entries[i]
			if e.hash.IsZero() {
				continue
			}
			content, err := p.read(t.Context(), e.hash, e.kind, limit)
			if err == nil && plumbing.ComputeHash(e.kind, content) != e.hash {
				t.Errorf("object %s has the content of another", e.hash)
			}
			if err != nil && !errors.Is(err, ErrNoSuchObject) && !errors.Is(err, ErrProtocol) {
				if _, large := errors.AsType[*TooLargeError](err); !large {
					t.Errorf("object %s: %v", e.hash, err)
				}
			}
		}
	})
}
