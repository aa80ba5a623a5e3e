package oci

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func hosts(t testing.TB, patterns ...string) *Hosts {
	t.Helper()
	h, err := ParseHosts(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestParseHosts(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"":                  "it is empty",
		" ":                 "it is empty",
		"https://ghcr.io":   "no scheme",
		"ghcr.io/acme":      "no path",
		"*":                 "neither a host nor an address",
		"gh*.io":            "neither a host nor an address",
		"*.*.io":            "neither a host nor an address",
		"a b":               "neither a host nor an address",
		"user@host":         "neither a host nor an address",
		"169.254.0.0/16":    "no path",
		"*.10.0.0.1.":       "",
		"GHCR.io.":          "",
		"[fd00::1]:5000":    "",
		"fd00::1":           "",
		"*.Example.com:443": "",
	} {
		_, err := ParseHosts([]string{"ok.example", pattern})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("ParseHosts(%q) = %v, want %q", pattern, err, want)
		}
	}
	if h, err := ParseHosts(nil); h != nil || err != nil {
		t.Errorf("ParseHosts of nothing = %v, %v", h, err)
	}
}

func TestHostsCheck(t *testing.T) {
	t.Parallel()
	listed := []string{"ghcr.io", "*.example.com", "reg.corp:5000", "10.0.0.1", "[fd00::1]:443", "docker.io", "169.254.1.1"}
	cases := map[string]struct {
		patterns     []string
		host, scheme string
		want         bool
	}{
		"no list":                    {nil, "anything.example", "https", true},
		"no list, metadata":          {nil, "169.254.169.254", "http", false},
		"no list, metadata and port": {nil, "169.254.169.254:80", "http", false},
		"no list, mapped address":    {nil, "[::ffff:169.254.169.254]", "http", false},
		"no list, zone":              {nil, "[fe80::1%25eth0]", "http", false},
		"no list, AWS":               {nil, "[fd00:ec2::254]", "http", false},
		"no list, AWS, for pods":     {nil, "[fd00:ec2::23]", "http", false},
		"no list, translated":        {nil, "[64:ff9b::a9fe:a9fe]", "http", false},
		"no list, Alibaba":           {nil, "100.100.100.200", "http", false},
		"no list, private":           {nil, "10.0.0.1", "http", true},
		"no list, loopback":          {nil, "127.0.0.1:5000", "http", false},
		"no list, loopback, IPv6":    {nil, "[::1]:5000", "http", false},
		"no list, unspecified":       {nil, "0.0.0.0:8080", "http", false},
		"no list, unspecified, IPv6": {nil, "[::]:8080", "http", false},
		"no list, localhost":         {nil, "LocalHost.:6060", "http", false},
		"no list, below localhost":   {nil, "a.localhost", "http", false},
		"no list, one number":        {nil, "2852039166", "http", false},
		"no list, hexadecimal":       {nil, "0xA9FEA9FE:80", "http", false},
		"no list, octal":             {nil, "0251.0376.0251.0376", "http", false},
		"no list, short":             {nil, "127.1", "http", false},
		"no list, name of Google":    {nil, "metadata.google.internal", "http", false},
		"no list, short name":        {nil, "metadata.", "http", false},
		"no list, digits in a name":  {nil, "registry1.example2.com:5000", "https", true},
		"whole domain of metadata":   {[]string{"*.google.internal"}, "metadata.google.internal", "http", false},
		"named metadata":             {[]string{"metadata.google.internal"}, "metadata.google.internal", "http", true},
		"named loopback":             {[]string{"127.0.0.1:5000"}, "127.0.0.1:5000", "http", true},
		"other port of loopback":     {[]string{"127.0.0.1:5000"}, "127.0.0.1:6060", "http", false},
		"listed":                     {listed, "ghcr.io", "https", true},
		"listed, any port":           {listed, "ghcr.io:8443", "https", true},
		"listed, other case":         {listed, "GHCR.io.", "https", true},
		"below":                      {listed, "a.b.example.com", "https", true},
		"the domain itself":          {listed, "example.com", "https", false},
		"suffix only":                {listed, "evil-example.com", "https", false},
		"port":                       {listed, "reg.corp:5000", "http", true},
		"other port":                 {listed, "reg.corp:5001", "http", false},
		"no port":                    {listed, "reg.corp", "https", false},
		"address":                    {listed, "10.0.0.1:80", "http", true},
		"mapped address":             {listed, "[::ffff:10.0.0.1]", "http", true},
		"port of the scheme":         {listed, "[fd00::1]", "https", true},
		"port of other scheme":       {listed, "[fd00::1]", "http", false},
		"Docker Hub":                 {listed, "registry-1.docker.io", "https", true},
		"listed metadata":            {listed, "169.254.1.1", "http", true},
		"not listed":                 {listed, "other.example", "https", false},
	}
	for name, tc := range cases {
		err := hosts(t, tc.patterns...).Check(tc.host, tc.scheme)
		if (err == nil) != tc.want || err != nil && !errors.Is(err, ErrHostRefused) {
			t.Errorf("%s: Check(%s) = %v, want allowed %t", name, tc.host, err, tc.want)
		}
		if err != nil && (!strings.Contains(err.Error(), "--allowed-hosts") || !strings.Contains(err.Error(), tc.host)) {
			t.Errorf("%s: %q names neither host nor flag", name, err)
		}
	}
}

// TestTransportChecksAddresses connects by a name, which says nothing.
func TestTransportChecksAddresses(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]string{"metadata": "169.254.169.254", "v6": "fe80::1", "mapped": "::ffff:169.254.0.1", "loopback": "127.0.0.1", "unspecified": "::"} {
		var refused *HostError
		_, err := hosts(t).dial(net.Dialer{}, nil)(t.Context(), "tcp", net.JoinHostPort(addr, "80"))
		if !errors.As(err, &refused) || refused.Address != netip.MustParseAddr(addr).Unmap() {
			t.Errorf("%s: dial = %v, want a HostError with the address", name, err)
		}
	}
	// This machine is connected to for whom the user chose, by its names too.
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	transport, err := NewTransport(TransportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(server.URL, "127.0.0.1", "localhost", 1), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transport.RoundTrip(req); !errors.Is(err, ErrHostRefused) {
		t.Fatalf("RoundTrip to this machine = %v, want ErrHostRefused", err)
	}
	resp, err := transport.RoundTrip(toChosen(req))
	if err != nil || resp.StatusCode != http.StatusNotFound {
		t.Fatalf("loopback is refused: %v", err)
	}
	resp.Body.Close()
}

func TestNewTransport(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]TransportOptions{
		"no authority":   {CertificateAuthority: []byte("nonsense")},
		"no certificate": {Certificate: []byte("nonsense"), PrivateKey: []byte("secret-key")},
	} {
		if _, err := NewTransport(o); err == nil || strings.Contains(err.Error(), "secret-key") {
			t.Errorf("%s: NewTransport = %v, want an error without secrets", name, err)
		}
	}
	proxied := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		proxied <- req.URL.String() + " " + req.Header.Get("Proxy-Authorization")
	}))
	t.Cleanup(proxy.Close)
	address, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword("user", "word")
	transport, err := NewTransport(TransportOptions{Proxy: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://registry.example/v2/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := <-proxied; got != "http://registry.example/v2/ Basic dXNlcjp3b3Jk" {
		t.Errorf("the proxy got %q", got)
	}
}

func FuzzParseHosts(f *testing.F) {
	for _, seed := range []string{"ghcr.io", "*.example.com:443", "[fd00::1]:5000", "169.254.169.254", "::1", ":", "a:b:c", "%"} {
		f.Add(seed, "ghcr.io:443")
	}
	f.Fuzz(func(t *testing.T, pattern, host string) {
		h, err := ParseHosts([]string{pattern})
		if err != nil {
			return
		}
		if h == nil {
			t.Fatalf("%q allows every host", pattern)
		}
		// A list only takes away, but for special addresses that it names.
		if h.Check(host, "https") == nil && (*Hosts)(nil).Check(host, "https") != nil && h.patterns[0].below {
			t.Errorf("%q allows the special address %q", pattern, host)
		}
	})
}

// TestResolvedAddresses tells what a name server says, which may pass, from what a
// component says.
func TestResolvedAddresses(t *testing.T) {
	t.Parallel()
	dial := (*Hosts)(nil).dial(net.Dialer{}, nil)
	for address, unsure := range map[string]bool{"localhost:1": true, "127.0.0.1:1": false, "[::1]:1": false} {
		_, err := dial(t.Context(), "tcp", address)
		if !errors.Is(err, ErrHostRefused) || errors.Is(err, ErrUnsure) != unsure {
			t.Errorf("%s: %v, want that the host is refused, unsure %t", address, err, unsure)
		}
	}
}

func TestDialChosen(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	opened, err := hosts(t).DialChosen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("this machine, chosen by the user, is refused: %v", err)
	}
	opened.Close()
	for name, h := range map[string]*Hosts{"without a list": hosts(t), "with a list": hosts(t, "git.example.com")} {
		var refused *HostError
		if _, err := h.DialChosen(t.Context(), "tcp", "169.254.169.254:80"); !errors.As(err, &refused) {
			t.Errorf("%s: the metadata of a cloud = %v, want a HostError", name, err)
		}
		if err := h.CheckChosen("metadata.google.internal", "https"); !errors.As(err, &refused) {
			t.Errorf("%s: the name of the metadata = %v, want a HostError", name, err)
		}
		if err := h.CheckChosen(address, "http"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
