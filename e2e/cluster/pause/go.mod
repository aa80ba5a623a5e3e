module github.com/ocm-operator/ocm-operator/e2e/cluster/pause

go 1.26.0
