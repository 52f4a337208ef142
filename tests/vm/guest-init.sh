#!/bin/bash
# The guest's first and only service: mounts, then the command that vm.sh left in CTL, then off. The kernel's command
# line gives CTL, the folder of this run on the host (command, output, exit status), as an environment variable.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /tmp -o mode=1777
mount -t tmpfs run /run
mkdir -p /dev/pts /dev/shm /run/ctl
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm -o mode=1777
busybox ip link set lo up
mount -t hostfs none /run/ctl -o "$CTL"
cd /run/ctl || exit
unset CTL
setsid bash /run/ctl/command </dev/null >/run/ctl/output 2>&1
echo $? >/run/ctl/status
sync
echo o >/proc/sysrq-trigger
sleep 5
