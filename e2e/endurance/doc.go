// Package endurance holds the end-to-end tests of what must not happen: work without a reason, content of two versions in
// one, a healthy pipeline that falls over because something beside it did. They run the operator as a process in a real
// cluster with Flux, and look at everything that it does: requests, writes, events, files, and every object on its way.
package endurance
