package main

import (
	"net/url"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	model "github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// open opens a repository at a URL with http:// in front.
func open(address, username, password string) (*ocm.Repository, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	o := ocm.Options{}
	if username != "" {
		o.Credentials = credentials.FromBasic(u.Host, username, password)
	}
	return ocm.Open(address, o)
}

func artifactDigest(d digest.Digest) *model.Digest { return model.NewArtifactDigest(d) }

func localResource(name string, b blob) (*model.Resource, error) {
	where, err := access.NewLocalBlob(b.digest, "application/octet-stream")
	return &model.Resource{
		Element: model.Element{Name: name, Version: version}, Type: "blob", Relation: model.LocalRelation,
		Access: where, Digest: model.NewBlobDigest(b.digest),
	}, err
}
