// Package replicas tests the operator as several processes behind one address, of which the one that leads is killed again and
// again.
package replicas
