package forge

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
)

// maxSegments bounds the nesting of groups; GitLab itself stops at 20.
const maxSegments = 32

var (
	scpURL  = regexp.MustCompile(`^[A-Za-z0-9._-]+@([A-Za-z0-9.-]+):(.+)$`)
	segment = regexp.MustCompile(`^[A-Za-z0-9_.+-]{1,255}$`)
	// apiSuffix is what the paths of the APIs end with; what is before it is the folder that a forge is served from.
	apiSuffix = map[string]string{GitHub: "/api/v3", GitLab: "/api/v4", Gitea: "/api/v1"}
)

// APIURL returns the address of the API of the forge that serves a repository: https://api.github.com for github.com, and for any other host /api/v3 (GitHub), /api/v4 (GitLab) or /api/v1 (Gitea)
// at its root, with the scheme of the repository, or https for SSH.
func APIURL(provider, repositoryURL string) (string, error) {
	u, err := parseRepository(repositoryURL)
	if err != nil {
		return "", err
	}
	suffix, ok := apiSuffix[provider]
	if !ok {
		return "", fmt.Errorf("provider %q has no pull requests: use %s, %s or %s", provider, GitHub, GitLab, Gitea)
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "ssh" {
		// The port of SSH says nothing about that of the API.
		u.Scheme, host = "https", bracketed(strings.ToLower(u.Hostname()))
	}
	switch {
	case provider == GitHub && (host == "github.com" || host == "www.github.com" || host == "ssh.github.com"):
		return "https://api.github.com", nil
	case provider == GitHub && strings.HasSuffix(host, ".ghe.com"):
		// GitHub Enterprise Cloud with data residency.
		return "https://api." + host, nil
	case provider == GitLab && host == "altssh.gitlab.com":
		host = "gitlab.com"
	}
	return u.Scheme + "://" + host + suffix, nil
}

// bracketed returns a host name as it is written in a URL.
func bracketed(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "[" + host + "]"
	}
	return host
}

// parseRepository reads the address of a repository, whatever its form. Errors do not repeat it: it may have a password that does not belong there.
func parseRepository(raw string) (*url.URL, error) {
	if m := scpURL.FindStringSubmatch(raw); m != nil && !strings.Contains(raw, "://") {
		return &url.URL{Scheme: "ssh", Host: m[1], Path: "/" + strings.TrimPrefix(m[2], "/")}, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "ssh") {
		return nil, fmt.Errorf("the address of the repository is not https://host/path, http://host/path, ssh://user@host/path or user@host:path: correct repository.url")
	}
	return u, nil
}

// repositoryPath returns what the forge calls the repository: owner and name, or all groups and name for GitLab.
func repositoryPath(repositoryURL, apiURL, provider string) ([]string, error) {
	u, err := parseRepository(repositoryURL)
	if err != nil {
		return nil, err
	}
	path := u.Path
	if api, err := url.Parse(apiURL); err == nil && u.Scheme != "ssh" {
		// A forge that is served from a folder has that folder in front of both addresses.
		folder := strings.TrimSuffix(strings.TrimSuffix(api.Path, "/"), apiSuffix[provider])
		if rest, ok := strings.CutPrefix(path, folder+"/"); ok && folder != "" && folder != strings.TrimSuffix(api.Path, "/") {
			path = rest
		}
	}
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	parts := strings.Split(path, "/")
	for _, part := range parts {
		if !segment.MatchString(part) || part == "." || part == ".." {
			return nil, fmt.Errorf("the address of the repository has a path that no repository of a forge has: correct repository.url")
		}
	}
	switch {
	case provider == GitLab && (len(parts) < 2 || len(parts) > maxSegments):
		return nil, fmt.Errorf("the path of the repository %q is not group/project: correct repository.url, or set repository.apiURL if the forge is served from a folder", path)
	case provider != GitLab && len(parts) != 2:
		return nil, fmt.Errorf("the path of the repository %q is not owner/name: correct repository.url, or set repository.apiURL if the forge is served from a folder", path)
	}
	return parts, nil
}
