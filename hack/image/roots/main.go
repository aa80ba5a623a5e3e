// Command roots prints the certificate authorities that Mozilla trusts, as the Go team publishes them in a module. Images get
// theirs from here and not from the machine that builds them: a module is pinned, verified and updated like any other dependency,
// and every machine builds the same image.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "roots:", err)
		os.Exit(1)
	}
}

// write prints all of them, also those that Mozilla has begun to distrust: a file of certificates can't say "only certificates
// from before a date", and the bundles of distributions have them too.
func write(w io.Writer) error {
	out := bufio.NewWriter(w)
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			return fmt.Errorf("read a root certificate: %w", err)
		}
		fmt.Fprintf(out, "# %s\n", cert.Subject)
		if err := pem.Encode(out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return fmt.Errorf("write root certificate %s: %w", cert.Subject, err)
		}
	}
	return out.Flush()
}
