// Package git has no code: below it are the packages that write to git repositories, and open pull requests. They know bytes and
// servers, but neither Kubernetes nor components.
//
//   - pack collects objects in a pack file while they arrive, and tree makes them of archives: checked, and put into the folder of a commit.
//   - remote reads and pushes a branch at a server. sign and message make what a commit consists of besides files.
//   - forge opens pull requests.
//
// The benchmarks here measure the way as a whole, beside what the git command takes for the same.
package git
