package access

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/ctf"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// archiveScheme begins the address of a transport archive.
const archiveScheme = "ctf::"

const (
	// archiveKept and downloadKept are how long an archive stays open, and a download stays on disk, while nobody reads it.
	archiveKept  = 15 * time.Minute
	downloadKept = 24 * time.Hour
	// maxOpenArchives bounds how many of them are kept.
	maxOpenArchives = 64
	// usualTempBytes is the default of ArchiveOptions.TempBytes.
	usualTempBytes = 16 << 30
)

// ArchiveOptions say where transport archives are.
type ArchiveOptions struct {
	// Dir holds a folder for each namespace, in which its archives are, as in the flag --archives-dir. Empty refuses archives
	// that are files.
	Dir string
	// TempDir is where archives are unpacked and downloaded to, and what copies take apart, the default directory of the system if
	// empty.
	TempDir string
	// TempBytes bounds what all of that takes there together, and MaxBytes what is unpacked from an archive or written to one; zero
	// is a default of 16 GiB.
	TempBytes, MaxBytes int64
}

// archives opens transport archives for objects.
type archives struct {
	options ArchiveOptions
	stores  ctf.Options
	pool    *ctf.Pool
	writers writers
}

func newArchives(all Options) (*archives, error) {
	o, limits := all.Archives, all.Limits.WithDefaults()
	if o.TempDir != "" {
		if err := os.MkdirAll(o.TempDir, 0o700); err != nil {
			return nil, fmt.Errorf("folder for transport archives: %w", err)
		}
	}
	if o.TempBytes <= 0 {
		o.TempBytes = usualTempBytes
	}
	room := ctf.NewRoom(o.TempBytes)
	room.Advice = "--archives-temp-size lets them take more"
	stores := ctf.Options{
		ManifestBytes: limits.ManifestBytes, Entries: limits.ArchiveEntries, ArchiveBytes: o.MaxBytes,
		TempDir: o.TempDir, Room: room, OneName: true,
	}
	return &archives{options: o, stores: stores, pool: ctf.NewPool(ctf.PoolOptions{Options: stores, Stores: maxOpenArchives, Now: all.Now})}, nil
}

// isArchive tells whether an address is that of a transport archive.
func isArchive(url string) bool { return strings.HasPrefix(url, archiveScheme) }

// archiveAddress is where a transport archive is: a path below the folder of a namespace, or a URL.
type archiveAddress struct {
	path string
	url  *url.URL
}

// parseArchive reads the address of a transport archive.
func parseArchive(address string) (archiveAddress, error) {
	rest := strings.TrimPrefix(address, archiveScheme)
	if !strings.Contains(rest, "://") {
		return archiveAddress{path: rest}, checkArchivePath(rest)
	}
	u, err := url.Parse(rest)
	switch {
	case err != nil:
		return archiveAddress{}, fmt.Errorf("%q has no URL behind %s", address, archiveScheme)
	case u.Scheme != "https":
		return archiveAddress{}, fmt.Errorf("archives are read over https only, not over %s; a file in the folder of the namespace is %spath/to/archive.tgz", u.Scheme, archiveScheme)
	case u.User != nil || u.Fragment != "":
		return archiveAddress{}, errors.New("the URL of an archive has neither credentials nor a fragment; a log-in goes into a Secret")
	case u.Hostname() == "":
		return archiveAddress{}, fmt.Errorf("the URL in %q has no host", address)
	case !packedName(u.Path):
		return archiveAddress{}, fmt.Errorf("the URL of an archive ends in .tar, .tgz or .tar.gz, %q does not", u.Path)
	}
	return archiveAddress{url: u}, nil
}

// checkArchivePath refuses what leads out of a folder, and hidden files, which are those that are being written.
func checkArchivePath(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00") {
		return fmt.Errorf("%q is no path of an archive: it is below the folder of the namespace, has no empty parts and no dots as parts, and does not begin or end with a slash; "+
			"want for example %spodinfo.tgz", name, archiveScheme)
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return fmt.Errorf("%q is no path of an archive: %s begins with a dot, as files that are being written do", name, part)
		}
	}
	return nil
}

func packedName(name string) bool {
	name = strings.ToLower(path.Base(name))
	return strings.HasSuffix(name, ".tar") || strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".tar.gz")
}

// errNoArchives says that transport archives are refused.
var errNoArchives = errors.New("the operator was started without --archives-dir, below which each namespace has a folder for its archives")

// openArchive opens a transport archive. It is read in the folder of the namespace, whoever else has one of the same name.
func (p *Provider) openArchive(_ context.Context, user User, repository v1alpha1.Repository, field string, found gathered) (*Repository, error) {
	invalid := func(err error) error {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("%s.url: %w", field, err))
	}
	address, err := parseArchive(repository.URL)
	switch {
	case err != nil:
		return nil, invalid(err)
	case address.url == nil && p.archives.options.Dir == "":
		return nil, invalid(errNoArchives)
	case address.url != nil && field == destinationField:
		return nil, invalid(errors.New("an archive behind a URL can't be written to; name a file, or a registry"))
	case repository.ComponentNameMapping != "" && repository.ComponentNameMapping != string(ocm.URLPath):
		return nil, lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("%s.componentNameMapping: archives have no mapping but urlPath; remove it", field))
	}
	key := fmt.Sprintf("%s %s/%s %s", field, user.Namespace, repository.URL, found.fingerprint)
	if known, ok := p.repositories.get(key); ok {
		return known.as(user), nil
	}
	options, err := p.options(found)
	if err != nil {
		return nil, &UnusableError{Kind: "Secret", Namespace: user.Namespace, Name: nameOf(repository.CertSecretRef), Why: "can't be used for TLS: " + err.Error()}
	}
	options.Field, options.TempDir = field, p.archives.stores.TempDir
	var store *ctf.Store
	r := &Repository{key: key, provider: p}
	if address.url != nil {
		credential, _ := found.store.Lookup(address.url.Host, strings.TrimPrefix(address.url.Path, "/"))
		store = p.archives.pool.Store(repository.URL+" "+found.fingerprint, p.download(address.url, repository.URL, field, credential, options))
	} else {
		name := user.Namespace + "/" + address.path
		store = p.archives.pool.Store("file "+name, ctf.FileSource{Dir: p.archives.options.Dir, Name: name, Label: repository.URL, Keep: archiveKept})
		r.archive = &archiveTarget{archives: p.archives, name: name, label: repository.URL, options: options}
	}
	if r.Repository, err = ocm.InCTF(store, options); err != nil {
		return nil, err
	}
	p.repositories.add(key, r)
	return r.as(user), nil
}

// download returns the source of an archive behind a URL.
func (p *Provider) download(u *url.URL, label, field string, c credentials.Credential, o ocm.Options) *download {
	return &download{
		url: u, label: label, field: field + ".url", credential: c, userAgent: p.opts.UserAgent, redirects: o.Limits.WithDefaults().Redirects,
		own: o.HomeTransport, others: o.Transport, hosts: p.hosts, budget: o.Budget, connection: o.Connection, now: p.opts.Now,
	}
}

// Write calls a function with a repository to write to. What the function writes to an archive that is a file is there when
// it has returned no error, and nothing of it is when it has returned one. Everywhere else it is there as it is written. Who
// else writes to the same file is waited for, or is a *ctf.BusyError.
func (r *Repository) Write(ctx context.Context, write func(context.Context, *ocm.Repository) error) error {
	switch {
	case r.archive != nil:
		return r.archive.write(ctx, write)
	case isArchive(r.URL()):
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("%s can't be written to, as it is behind a URL: %w", r.URL(), oci.ErrReadOnly))
	}
	return write(ctx, r.Repository)
}

// writers lets those who write to one archive do it one after the other.
type writers struct {
	mu    sync.Mutex
	turns map[string]*turn
}

type turn struct {
	free  chan struct{} // holds a token while nobody writes
	users int
}

// take waits for a turn, and returns what gives it back.
func (w *writers) take(ctx context.Context, name string) (func(), error) {
	w.mu.Lock()
	if w.turns == nil {
		w.turns = map[string]*turn{}
	}
	t, ok := w.turns[name]
	if !ok {
		t = &turn{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		w.turns[name] = t
	}
	t.users++
	w.mu.Unlock()
	leave := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(w.turns, name)
		}
	}
	select {
	case <-t.free:
		return sync.OnceFunc(func() { t.free <- struct{}{}; leave() }), nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}

// Temporary is the folder for temporary files, and what they may take together. All repositories share both.
func (r *Repository) Temporary() (dir string, room *ctf.Room) {
	o := r.provider.archives.stores
	return o.TempDir, o.Room
}
