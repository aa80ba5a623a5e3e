# The first process of a node, in new namespaces: gives the node its own view of the machine, then waits for orphans.
# boot.sh NAME DISK PACKAGES CONTROLPLANE CGROUP...
set -eu
name=$1 disk=$2 packages=$3 controlplane=$4
shift 4
for group; do echo 0 > "$group"; done
mount --make-rprivate /                            # nothing of what follows is seen outside
mount -t proc proc /proc                           # that of the new process namespace
node=$disk/lib/node
mount --bind "$controlplane" "$node/bin/kubelet"   # one program, which looks at its name
mount --bind "$controlplane" "$node/bin/kube-proxy"
if [ -n "$packages" ]; then
  mount -t overlay -o "ro,lowerdir=$packages/usr:/usr" packages /usr
fi
mount -t tmpfs -o mode=755 run /run
mount --rbind "$disk" /var
# kubelet tunes the machine. It may believe that it has.
find /var/lib/node/sys -type f | while read -r setting; do
  of=/proc/sys/${setting#/var/lib/node/sys/}
  if [ -e "$of" ]; then mount --bind "$setting" "$of"; fi
done
mount --make-rshared /                             # volumes of pods are seen by the container runtime, and the other way round
echo "$name" > /proc/sys/kernel/hostname
echo 1 > /proc/sys/net/ipv4/ip_forward             # of this network namespace
exec /var/lib/node/bin/init
