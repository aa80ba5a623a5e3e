// Package replication tests what it takes to copy components from one registry to another, with the operator as a process of its
// own and between registries of different makes: the one that the operator embeds, served alone, and distribution. Both are behind
// proxies that count what comes through, and break what a test wants broken. A component has references, images for several
// platforms, charts and files. All of it has to be there in the end, nothing twice, and whoever looks on meanwhile sees no tag that leads nowhere.
package replication
