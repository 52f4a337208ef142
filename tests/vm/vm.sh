#!/bin/bash
# Runs a command in the guest, with this checkout installed; its output and exit status are this script's.
#
#   tests/vm/vm.sh RESULTS COMMAND [ARGUMENT...]
#
# RESULTS  a folder of the host, for what the command leaves in /run/ctl/results.
# In the guest: the checkout's packages on the Python path (installed by pip from a copy), tests/vm in /run/ctl/vm, the
# modules in /run/ctl/*.ko. No network. Nothing that the guest writes outside /run/ctl outlives it.
# Environment: VM_MEM (MiB, 4096), VM_TIMEOUT (s, 1800), AVATAR_LIVE_VM_CACHE (see build.sh), VM_CLIP (a video with a face),
# VM_KERNEL (what else the kernel is told, quiet).
# The guest is kept on one processor, since its kernel and its programs wake each other at every system call and page fault,
# and comes before other programs there. Not as a real-time process: Linux stops one that never pauses for 50 ms a second.
# 125: the guest itself failed, or ran past VM_TIMEOUT.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,14p' "$0"; exit 2; }
HERE=$(dirname "$(realpath "$0")")
ROOT=$(realpath "$HERE/../..")
CACHE=${AVATAR_LIVE_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/avatar-live/vm}
: "${VM_MEM:=4096}" "${VM_TIMEOUT:=1800}" "${VM_CLIP:=}"
mkdir -p "$1"
RESULTS=$(realpath "$1")
shift
CTL=$(mktemp -d)
# Each page of a guest's program can be a mapping of its own for the host, which allows 65530 a process: the guest then kills it.
MAPS=/proc/sys/vm/max_map_count
MAPS_BEFORE=$(cat "$MAPS")
restore() {
  rm -rf "$CTL"
  [ "$(cat "$MAPS")" = "$MAPS_BEFORE" ] || echo "$MAPS_BEFORE" >"$MAPS"
}
trap restore EXIT
[ "$MAPS_BEFORE" -ge 1048576 ] || { echo 1048576 >"$MAPS"; } 2>/dev/null || echo "[vm] $MAPS stays $MAPS_BEFORE" >&2

mkdir "$CTL/checkout" "$CTL/results"
(cd "$ROOT" && git ls-files -z --cached --others --exclude-standard -- pyproject.toml README.md LICENSE kernels engines realtime |
  tar --null --ignore-failed-read -T - -c 2>/dev/null) | tar -C "$CTL/checkout" -x
cp -r "$HERE" "$CTL/vm"
cp "$CACHE"/kernel/*.ko "$CTL/"
[ -z "$VM_CLIP" ] || cp "$VM_CLIP" "$CTL/clip.mp4"
cat >"$CTL/command" <<'GUEST'
export PYTHONPATH=/opt/site PYTHONDONTWRITEBYTECODE=1 OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT=1
cp -r /run/ctl/checkout /tmp/checkout
python3 -m pip install --quiet --root-user-action=ignore --disable-pip-version-check --no-index --no-deps \
  --no-build-isolation --target /tmp/installed /tmp/checkout || exit 124
export PYTHONPATH=/tmp/installed:/opt/site PATH=/tmp/installed/bin:$PATH
cd /run/ctl/vm
GUEST
printf '%q ' "$@" >>"$CTL/command"
: >"$CTL/output"
tail -n +1 -s 0.2 -f "$CTL/output" &
FOLLOWER=$!

# The guest's memory is a file in TMPDIR; its root image stays as it is: what it writes goes to CTL/cow.
PREFERRED=(taskset -c "$(($(getconf _NPROCESSORS_ONLN) - 1))")
if nice -n -20 true 2>/dev/null; then PREFERRED+=(nice -n -20); fi
echo "${PREFERRED[*]}" >"$CTL/results/preferred"
# Where whole sessions are scheduled, a nice value counts only within one; the guest's kernel makes itself a new session.
prefer() {
  local process
  sleep 2
  for process in $(pgrep -f "ubd0=$CTL/cow"); do { echo -20 >"/proc/$process/autogroup"; } 2>/dev/null; done
}
prefer &
set +e
TMPDIR=/dev/shm timeout -k 10 "$VM_TIMEOUT" "${PREFERRED[@]}" "$CACHE/kernel/linux" mem="${VM_MEM}M" "ubd0=$CTL/cow,$CACHE/root.img" \
  root=/dev/ubda rw init=/usr/sbin/guest-init "CTL=$CTL" con0=null,fd:1 con=null ${VM_KERNEL:-quiet} </dev/null >"$CACHE/console.log" 2>&1
ENDED=$?
sleep 1
kill "$FOLLOWER"
wait "$FOLLOWER" 2>/dev/null
cp -r "$CTL/results/." "$RESULTS/"
[ -s "$CTL/status" ] && exit "$(cat "$CTL/status")"
echo "[vm] no exit status came back (the kernel ended with $ENDED); its last lines:" >&2
tail -n 5 "$CACHE/console.log" >&2
exit 125
