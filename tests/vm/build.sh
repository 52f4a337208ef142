#!/bin/bash
# Builds the guest of the camera tests, once: a User Mode Linux kernel with v4l2loopback, and a Debian 12 image.
#
#   tests/vm/build.sh           CACHE/kernel/{linux,v4l2loopback.ko}  CACHE/root.img
#
# Needs Debian 12 on amd64, root, and Debian's and Python's package registries; no KVM, no modules of the host's kernel.
# Environment: AVATAR_LIVE_VM_CACHE (~/.cache/avatar-live/vm), VM_JOBS (the number of cores), VM_PACKAGES (more Debian
# packages for the image, separated by commas; by default chromium).
# Each half is built again when what it is made from changed.
set -Eeuo pipefail
HERE=$(dirname "$(realpath "$0")")
ROOT=$(realpath "$HERE/../..")
CACHE=${AVATAR_LIVE_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/avatar-live/vm}
: "${VM_JOBS:=$(nproc)}" "${VM_PACKAGES=chromium}"
SOURCE=linux-source-6.1
LOG=$CACHE/build.log

say() { echo "[vm-build +${SECONDS}s] $*" >&2; }

fail() { say "failed; the last lines of $LOG:"; tail -n 15 "$LOG" >&2; exit 1; }

host_packages() {
  local missing=() package
  for package in bc bison e2fsprogs flex gcc git libc6-dev make mmdebstrap python3-pip xz-utils; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  say "installing ${missing[*]}"
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >>"$LOG" 2>&1
}

build_kernel() {
  local work=$CACHE/kernel-work tree=$CACHE/kernel-work/$SOURCE deb
  rm -rf "$work" "$CACHE/kernel"
  mkdir -p "$work" "$CACHE/kernel"
  say "kernel: sources"
  (cd "$work" && apt-get download "$SOURCE" v4l2loopback-dkms) >>"$LOG" 2>&1
  for deb in "$work"/*.deb; do dpkg -x "$deb" "$work/x"; done
  tar -C "$work" -xf "$work/x/usr/src/$SOURCE.tar.xz"
  # Linux 6.1 keeps 2696 bytes of a process's registers; processors with AVX-512 and AMX have 11008, and the guest's
  # first process dies with "ptrace set fp regs failed, errno = 14".
  sed -i 's/DEFINE_LONGS(HOST_FP_SIZE, 2696)/DEFINE_LONGS(HOST_FP_SIZE, 16384)/' "$tree/arch/x86/um/user-offsets.c"
  grep -q 'HOST_FP_SIZE, 16384' "$tree/arch/x86/um/user-offsets.c"
  # A program that wakes may have to wait for the next tick there, even a real-time one: 10 ms with 100 ticks a second, which
  # is what User Mode Linux has and offers no choice of.
  sed -i '/^config HZ$/,/default/s/default 100/default 1000/' "$tree/arch/um/Kconfig"
  say "kernel: compiling with $VM_JOBS jobs"
  {
    make -C "$tree" ARCH=um defconfig
    (cd "$tree" && scripts/kconfig/merge_config.sh -m .config "$HERE/uml.config")
    make -C "$tree" ARCH=um olddefconfig
    grep -q '^CONFIG_VIDEO_DEV=y' "$tree/.config"
    grep -q '^CONFIG_HZ=1000' "$tree/.config"
    make -C "$tree" ARCH=um -j"$VM_JOBS" linux modules
    # The webcam is a second copy under a name of its own, so that it can be unloaded while the virtual camera is open.
    local name
    for name in v4l2loopback webcam; do
      cp -r "$work"/x/usr/src/v4l2loopback-* "$work/$name"
      [ $name = v4l2loopback ] || mv "$work/$name/v4l2loopback.c" "$work/$name/$name.c"
      echo "obj-m := $name.o" >"$work/$name/Kbuild"
      make -C "$tree" ARCH=um M="$work/$name" modules
      cp "$work/$name/$name.ko" "$CACHE/kernel/"
    done
  } >>"$LOG" 2>&1
  cp "$tree/linux" "$CACHE/kernel/"
  rm -rf "$work"
}

build_image() {
  local work=$CACHE/image-work
  local tree=$work/rootfs
  rm -rf "$work" "$CACHE/root.img"
  mkdir -p "$work"
  say "image: Debian packages"
  mmdebstrap --mode=root --variant=minbase --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include="python3,python3-pip,ffmpeg,v4l-utils,kmod,procps,busybox-static,libgl1,libegl1,libglib2.0-0${VM_PACKAGES:+,$VM_PACKAGES}" \
    bookworm "$tree" /etc/apt/sources.list.d/debian.sources >>"$LOG" 2>&1
  say "image: Python packages"
  /usr/bin/python3 -m pip install --quiet --root-user-action=ignore --target "$tree/opt/site" --only-binary=:all: \
    --constraint "$ROOT/constraints.txt" --requirement "$CACHE/requirements" >>"$LOG" 2>&1
  rm -rf "$tree"/var/cache/apt "$tree"/var/lib/apt/lists "$tree"/usr/share/{doc,man,locale}
  install -m 755 "$HERE/guest-init.sh" "$tree/usr/sbin/guest-init"
  say "image: file system"
  local mib=$(($(du -sm "$tree" | cut -f1) * 115 / 100 + 300))
  mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$tree" "$CACHE/root.img" "${mib}M" >>"$LOG" 2>&1
  rm -rf "$work"
}

requirements() { # what pyproject.toml asks for, and what installing a checkout and the checks need
  /usr/bin/python3 - "$ROOT/pyproject.toml" <<'PYTHON'
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
listed = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.M | re.S)[1]
print("\n".join(re.findall(r'^\s*"(.*?)",', listed, re.M)), "pytest", "setuptools>=77", "wheel", sep="\n")
PYTHON
}

once() { # NAME FILES...: builds NAME unless it was built from these very files
  local name=$1 digest
  shift
  digest=$(cat "$@" <(echo "$VM_PACKAGES") | sha256sum | cut -d' ' -f1)
  [ "$(cat "$CACHE/$name.ok" 2>/dev/null)" = "$digest" ] && return
  rm -f "$CACHE/$name.ok"
  local began=$SECONDS
  trap fail ERR
  "build_$name"
  trap - ERR
  echo "$digest" >"$CACHE/$name.ok"
  echo "$((SECONDS - began))" >"$CACHE/$name.seconds"
}

mkdir -p "$CACHE"
: >>"$LOG"
host_packages || fail
once kernel "$HERE/uml.config" "$HERE/build.sh"
requirements >"$CACHE/requirements"
once image "$CACHE/requirements" "$ROOT/constraints.txt" "$HERE/guest-init.sh"
say "the guest is in $CACHE: $(du -sh "$CACHE" | cut -f1), kernel built in $(cat "$CACHE/kernel.seconds") s, image in $(cat "$CACHE/image.seconds") s"
