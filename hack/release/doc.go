// Package release holds the tests of hack/release.sh and of the workflows that build, test and publish. It holds no code.
package release
