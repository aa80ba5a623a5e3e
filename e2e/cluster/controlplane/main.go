// Command controlplane is a Kubernetes control plane in one multi-call binary: it runs the component that its own file
// name, or else its first argument, names. It exists for machines where prebuilt control-plane binaries can't be
// downloaded; the components are the unchanged upstream ones, so a symlink of the right name stands in for each.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics, as the upstream binaries have
	_ "k8s.io/component-base/metrics/prometheus/version"  // version metric
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	os.Exit(run(os.Args))
}

func run(args []string) int {
	components := map[string]func(args []string) int{
		"etcd":                    runEtcd,
		"kubectl":                 runKubectl,
		"kube-apiserver":          command(apiserver.NewAPIServerCommand),
		"kube-controller-manager": command(controllermanager.NewControllerManagerCommand),
		"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
		"kube-proxy":              command(proxy.NewProxyCommand),
		"kubelet":                 command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	}
	// Called by a symlink's name, or with the component as the first argument.
	if component, ok := components[filepath.Base(args[0])]; ok {
		return component(args)
	}
	if len(args) > 1 {
		if component, ok := components[args[1]]; ok {
			os.Args = args[1:] // the upstream commands read os.Args themselves
			return component(args[1:])
		}
	}
	names := slices.Sorted(maps.Keys(components))
	fmt.Fprintf(os.Stderr, "usage: %s %s [flags]\n", filepath.Base(args[0]), strings.Join(names, "|"))
	return 2
}

func command(newCommand func() *cobra.Command) func([]string) int {
	return func([]string) int { return cli.Run(newCommand()) }
}

func runEtcd(args []string) int {
	etcdmain.Main(args) // exits by itself on failure
	return 0
}

func runKubectl([]string) int {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err) // prints and exits with kubectl's own code
	}
	return 0
}
