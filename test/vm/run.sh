#!/usr/bin/env bash
# The test for IPVS mode: runs test/vm/guest.py on Debian's kernel, which has IPVS, under qemu's
# software emulation, with this machine's files mounted read-only. The last line is "N passed, N
# failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/../.."
vm=$PWD/build/vm
mkdir -p "$vm"

fail() { echo "FAILED: $*"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
skip() { echo "SKIP: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }

program=build/release/nmanager
api_server=build/release/nmanager-test-apiserver
[[ -x $program && -x $api_server ]] || fail "build/release is not built"

need=()
for package in qemu-system-x86 busybox-static kmod ipvsadm ipset iptables nftables conntrack iproute2 curl python3 cpio; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || need+=("$package")
done
if ((${#need[@]})); then
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "${need[@]}" >/dev/null 2>&1 ||
    skip "cannot install: ${need[*]}"
fi

# Unpack the kernel, do not install it.
kernel_package=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image/ {print $2; exit}')
[[ -n $kernel_package ]] || skip "no package linux-image-amd64 (another architecture?)"
if [[ ! -e $vm/$kernel_package.done ]]; then
  rm -rf "$vm/kernel"
  (cd "$vm" && apt-get download -qq "$kernel_package" >/dev/null 2>&1 && dpkg -x "$kernel_package"_*.deb kernel && rm -f ./*.deb) ||
    skip "cannot download $kernel_package"
  touch "$vm/$kernel_package.done"
fi
version=$(ls "$vm/kernel/lib/modules" | head -n 1)
[[ -e $vm/kernel/lib/modules/$version/modules.dep ]] || depmod -b "$vm/kernel" "$version"

# An initramfs that mounts the real root.
root=$vm/initramfs
rm -rf "$root"
mkdir -p "$root"/{bin,proc,sys,dev,host,upper,root,modules}
cp "$(command -v busybox)" "$root/bin/busybox"
list=$(modprobe -d "$vm/kernel" -S "$version" -a --show-depends virtio_pci 9pnet_virtio 9p overlay 2>/dev/null |
  awk '$1 == "insmod" && !seen[$2]++ {print $2}')
number=100
for module in $list; do
  cp "$module" "$root/modules/$((number++))-$(basename "$module")"
done
cat >"$root/init" <<INIT
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
for module in /modules/*; do /bin/busybox insmod \$module; done
/bin/busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose host /host
/bin/busybox mount -t tmpfs tmpfs /upper
/bin/busybox mkdir /upper/changes /upper/work
/bin/busybox mount -t overlay -o lowerdir=/host,upperdir=/upper/changes,workdir=/upper/work overlay /root
/bin/busybox mkdir -p /root/lib/modules/$version
/bin/busybox mount --bind /root$vm/kernel/lib/modules/$version /root/lib/modules/$version
/bin/busybox mount -t proc proc /root/proc
/bin/busybox mount -t sysfs sysfs /root/sys
/bin/busybox mount -t devtmpfs devtmpfs /root/dev
/bin/busybox mount -t tmpfs tmpfs /root/run
exec /bin/busybox switch_root /root /bin/bash $PWD/test/vm/init.sh
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$vm/initrd"

# The limit ends a machine that hangs; under emulation on a busy host the checks take minutes.
timeout 1500 qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 1536 -nographic -no-reboot -nodefaults -serial stdio \
  -kernel "$vm/kernel/boot/vmlinuz-$version" -initrd "$vm/initrd" \
  -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
  -append "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off" </dev/null 2>&1 | sed -u 's/\r//g' | tee "$vm/log"
grep -qE '^[0-9]+ passed, [0-9]+ failed' "$vm/log" || fail "the virtual machine printed no result; see build/vm/log"
tail -n 1 <(grep -E '^[0-9]+ passed' "$vm/log") | grep -q ', 0 failed'
