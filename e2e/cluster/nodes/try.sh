# Does, in namespaces that go with it, what a node needs of the kernel. The last line of output says what was refused.
set -e
echo "mount proc" && mount -t proc proc /proc
echo "mount tmpfs" && mount -t tmpfs tmpfs /run
echo "mount overlay" && mkdir /run/lower /run/upper /run/work /run/merged &&
  mount -t overlay -o lowerdir=/run/lower,upperdir=/run/upper,workdir=/run/work overlay /run/merged
echo "mount over a kernel setting" && echo 1 > /run/setting && mount --bind /run/setting /proc/sys/vm/overcommit_memory
echo "forward packets" && echo 1 > /proc/sys/net/ipv4/ip_forward
# Programs that are not installed are fetched later, and then tell by themselves.
if command -v ip > /run/ip; then
  echo "make a bridge" && ip link add try type bridge
  echo "make a pair of links" && ip link add one type veth peer name two
fi
if command -v nft > /run/nft; then
  echo "translate addresses" && nft -f - << 'RULES'
table ip try {
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  chain nat { type nat hook prerouting priority -100; ip daddr 127.0.0.2 dnat to 127.0.0.3; }
  chain out { type nat hook postrouting priority 100; masquerade; }
}
RULES
fi
