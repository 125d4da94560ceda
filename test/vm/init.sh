#!/bin/bash
# The first process of the virtual machine of test/vm/run.sh.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C
cd "$(dirname "$0")/../.." || exit 1
ip link set lo up
/usr/bin/python3 test/vm/guest.py
sync
echo o >/proc/sysrq-trigger
while :; do :; done
