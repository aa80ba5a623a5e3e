// Package loopback has addresses of this machine for servers that are started again at the same place.
package loopback
