#!/usr/bin/env bash
# Takes down the test cluster whose files are in FOLDER, whatever state it is in: interrupted
# while it came up, its owner killed, half taken down already. Everything it removes carries a
# name that was written into FOLDER/names before the thing was made; nothing else is touched.
#
#   down.sh FOLDER              now
#   down.sh FOLDER when-closed  as soon as standard input ends: the owner that holds the other
#                               end of the pipe is gone, by whatever death
set -u
folder=$1
[ "${2:-}" != when-closed ] || cat > /dev/null
[ -f "$folder/names" ] || exit 0

namespaces=() links=() groups=()
while read -r kind name; do
  case $kind in
    namespace) namespaces+=("$name") ;;
    link) links+=("$name") ;;
    group) groups+=("$name") ;;
  esac
done < "$folder/names"

# Daemons live in a node's network namespace, containers in its control groups; both are exact.
processes() {
  for name in "${namespaces[@]}"; do
    [ ! -e "/run/netns/$name" ] || ip netns pids "$name" 2> /dev/null
  done
  for name in "${groups[@]}"; do
    find /sys/fs/cgroup -mindepth 2 -path "/sys/fs/cgroup/*/$name*" -name cgroup.procs \
      -exec cat {} + 2> /dev/null
  done
}
for _ in $(seq 100); do
  left=$(processes | sort -u | grep -vx 0)
  [ -n "$left" ] || break
  kill -KILL $left 2> /dev/null
  sleep 0.1
done

# Sockets of the container runtime's shims lie outside the folder.
find "$folder" -path '*/io.containerd.runtime.v2.task/*' -name address -exec cat {} + 2> /dev/null \
  | grep -oE '/run/containerd/s/[0-9a-f]+' | xargs -r rm -f
# Once for each mount; one that another mount hides shows only after it.
for _ in $(seq 10); do
  mounts=$(awk -v under="$folder/" 'index($2, under) == 1 {print $2}' /proc/mounts | sort -ru)
  [ -n "$mounts" ] || break
  xargs -r umount -l <<< "$mounts" 2> /dev/null
done
# A namespace lives on for as long as one of its sockets waits for its end, and its links with it.
for name in "${links[@]}"; do
  ip link del "$name" 2> /dev/null
done
for name in "${namespaces[@]}"; do
  [ ! -e "/run/netns/$name" ] || ip netns del "$name"
done
for name in "${groups[@]}"; do
  find /sys/fs/cgroup -mindepth 2 -depth -type d -path "/sys/fs/cgroup/*/$name*" \
    -exec rmdir {} + 2> /dev/null
done
grep -lsF "$folder/" /var/lib/cni/results/* 2> /dev/null | xargs -r rm -f
find /var/log/containers -maxdepth 1 -lname "$folder/*" -delete 2> /dev/null
for made in /run/containerd/s /run/containerd /var/lib/cni/results /var/lib/cni /var/log/containers; do
  rmdir "$made" 2> /dev/null
done
rm -rf "$folder"
