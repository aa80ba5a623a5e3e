package cluster

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
)

// serveVariable makes the test binary a program of a cluster: it serves at the addresses.
const serveVariable = "CLUSTER_TEST_SERVES"

func TestMain(m *testing.M) {
	address := os.Getenv(serveVariable)
	if address == "" {
		os.Exit(m.Run())
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(http.Serve(listener, http.NotFoundHandler()))
}
