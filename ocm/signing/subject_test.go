package signing_test

import (
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// TestParseSubject reads names in all spellings. Those of RFC 4514, section 4,
// are among them.
func TestParseSubject(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"CN=release":                              "CN=release",
		"C=DE,O=Acme,CN=release":                  "C=DE,CN=release,O=Acme",
		"cn = release , o=Acme":                   "CN=release,O=Acme",
		"UID=jsmith,DC=example,DC=net":            "DC=example,DC=net,UID=jsmith",
		"OU=Sales+CN=J.  Smith,DC=example":        "CN=J.  Smith,DC=example,OU=Sales",
		`CN=James \"Jim\" Smith\, III,DC=net`:     `CN=James \"Jim\" Smith\, III,DC=net`,
		`CN=Before\0dAfter`:                       `CN=Before\0dAfter`,
		"1.3.6.1.4.1.1466.0=#04024869,CN=x":       "",
		"1.3.6.1.4.1.1466.0=#13024869":            "1.3.6.1.4.1.1466.0=Hi",
		`CN=Lu\C4\8Di\C4\87`:                      "CN=Lučić",
		"CN=Lučić":                                "CN=Lučić",
		`CN="Acme, Inc. + \"Co\" ",O=x`:           `CN=Acme\, Inc. \+ \"Co\"\ ,O=x`,
		`CN=\ a\ `:                                `CN=\ a\ `,
		`CN=\#a#b`:                                `CN=\#a#b`,
		"CN=a=b":                                  "CN=a=b",
		`CN=a\=b\;c`:                              `CN=a=b\;c`,
		"2.5.4.3=release,OID.2.5.4.10=Acme":       "CN=release,O=Acme",
		"commonName=release,emailAddress=a@b.org": "CN=release,EMAILADDRESS=a@b.org",
		"CN=a,CN=a,CN=b":                          "CN=a,CN=b",
		"1.2.3=x":                                 "1.2.3=x",

		"":                                   "",
		"release":                            "",
		"=release":                           "",
		"CN=":                                "",
		"CN=a,":                              "",
		",CN=a":                              "",
		"CN=a,,O=b":                          "",
		"CN=a,O":                             "",
		"XY=a":                               "",
		"1=a":                                "",
		"1.=a":                               "",
		"01.2=a":                             "",
		"-1.2=a":                             "",
		"1.99999999999=a":                    "",
		"CN=a;O=b":                           "",
		"/C=DE/CN=a":                         "",
		"CN=a<b":                             "",
		`CN=a"b`:                             "",
		`CN="a`:                              "",
		`CN="a"b`:                            "",
		`CN="a\`:                             "",
		`CN=a\`:                              "",
		`CN=a\x`:                             "",
		`CN=\C4`:                             "",
		"CN=a\x00b":                          "",
		"CN=\xff":                            "",
		"CN=#":                               "",
		"CN=#zz":                             "",
		"CN=#130248":                         "",
		"CN=#1302486900":                     "",
		"CN=#13024869 x":                     "",
		strings.Repeat("CN=a,", 32) + "CN=a": "",
		"CN=" + strings.Repeat("a", 1024):    "",
	} {
		got, err := signing.ParseSubject(text)
		if want == "" {
			if err == nil {
				t.Errorf("%q is %q, want an error", text, got)
			}
			continue
		}
		if err != nil || got.String() != want {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
		}
	}
}
