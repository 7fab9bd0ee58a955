#!/usr/bin/env bash
# Run one of the dist scripts on two machines that are network namespaces of this one:
#   tests/helpers/two_nodes.sh dist_train.sh CONFIG PROCESSES [ARGUMENTS]
# The first one's output is this command's, the second one's comes with "node 1:" in front. Working
# folders are ./node0 and ./node1, SHARED=1 makes them one. PYTHON names the interpreter. Needs root
# and ip (Debian: iproute2); where these are missing, it says so and ends with status 77.
set -euo pipefail
script=$(realpath "$(dirname "$0")/../../tools/$1")
shift

skip() {
    echo "skipped: $1" >&2
    exit 77
}
((EUID == 0)) || skip 'network namespaces need root'
command -v ip > /dev/null || skip 'there is no ip; install iproute2'

name=mspose$$
clean_up() {
    kill "$(jobs -p)" 2> /dev/null || true
    for i in 0 1; do ip netns delete $name-$i 2> /dev/null || true; done
}
trap clean_up EXIT
for i in 0 1; do
    ip netns add $name-$i || skip 'network namespaces cannot be made here'
done
ip link add veth0 netns $name-0 type veth peer name veth1 netns $name-1
for i in 0 1; do
    ip -n $name-$i address add 192.0.2.$((i + 1))/24 dev veth$i
    ip -n $name-$i link set veth$i up
    ip -n $name-$i link set lo up
done

node() {
    local rank=$1
    shift
    folder=node$rank
    if [[ ${SHARED:-} ]]; then folder=node0; fi
    mkdir -p $folder
    cd $folder
    # without an interface gloo takes that of the host's name, which is not one of the namespace
    exec ip netns exec $name-"$rank" env NNODES=2 NODE_RANK="$rank" MASTER_ADDR=192.0.2.1 \
        GLOO_SOCKET_IFNAME=veth"$rank" "$script" "$@"
}
(node 1 "$@" 2>&1 | sed -u 's/^/node 1: /') &
status=0
(node 0 "$@") || status=$?
wait $! || true
exit $status
