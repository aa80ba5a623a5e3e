// Package trust shows that what a signature covers is what is deployed: with a real API server, the operator as a process,
// and component versions of the reference tools in a real registry. Whatever was changed after it was signed is neither
// published nor deployed, and the message says what it is.
package trust
