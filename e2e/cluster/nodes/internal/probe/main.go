// Command probe is the workload of tests of nodes: a server that says who it is, and a client that pods run to look at the
// network from where they are.
//
//	probe serve ADDRESS FOLDER   serves its host name at /, and at /starts how often it has started over this folder
//	probe get URL                prints what is answered; https is not verified
//	probe lookup NAME            prints the addresses of a name
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const timeout = 3 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "serve":
		return serve(args[1], args[2])
	case len(args) == 2 && args[0] == "get":
		return get(args[1], os.Stdout)
	case len(args) == 2 && args[0] == "lookup":
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		addresses, err := net.DefaultResolver.LookupHost(ctx, args[1])
		fmt.Println(strings.Join(addresses, " "))
		return err
	default:
		return errors.New("usage: probe serve ADDRESS FOLDER | get URL | lookup NAME")
	}
}

func serve(address, folder string) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	starts, err := os.OpenFile(filepath.Join(folder, "starts"), os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if _, err := starts.WriteString("x"); err != nil {
		return err
	}
	info, err := starts.Stat()
	if err != nil {
		return err
	}
	handler := http.NewServeMux()
	handler.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) })
	handler.HandleFunc("/starts", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, info.Size()) })
	fmt.Println(name, "serves at", address)
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: timeout}
	return server.ListenAndServe()
}

func get(url string, out io.Writer) error {
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(out, io.LimitReader(response.Body, 1<<20))
	return err
}
