#!/bin/bash
# build-debian.sh BUNDLE IMAGE: a Debian 12 disk (qcow2) for BIOS machines that boots with the guest agent.
# Needs root, loop devices, and: debootstrap fdisk extlinux e2fsprogs qemu-utils (apt). SIZE, SUITE and MIRROR may be set.
set -euo pipefail
[ $# -eq 2 ] || { sed -n 2,3p "$0" >&2; exit 2; }
bundle=$(realpath "$1") image=$(realpath -m "$2")
suite=${SUITE:-bookworm} mirror=${MIRROR:-http://deb.debian.org/debian} size=${SIZE:-3G}

PATH=$PATH:/usr/sbin:/sbin
for tool in debootstrap sfdisk extlinux losetup mkfs.ext4 qemu-img; do
    command -v "$tool" >/dev/null || { echo "build-debian: $tool is missing" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "build-debian: has to run as root" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/coffer-image.XXXXXX") root=$work/root loop=''
cleanup() {
    if mountpoint -q "$root"; then umount -R "$root"; fi
    if [ -n "$loop" ]; then losetup --detach "$loop"; fi
    rm -rf "$work"
}
trap cleanup EXIT

echo "build-debian: partitions"
truncate -s "$size" "$work/disk.raw"
echo 'start=1MiB, type=83, bootable' | sfdisk --quiet --label dos "$work/disk.raw"
dd if=/usr/lib/EXTLINUX/mbr.bin of="$work/disk.raw" bs=440 count=1 conv=notrunc status=none
# The partition by its offset: a container has no udev that makes devices of partitions.
loop=$(losetup --find --show --offset 1MiB "$work/disk.raw")
mkfs.ext4 -q -O ^64bit,^metadata_csum -L coffer-root "$loop" # what extlinux reads
mkdir "$root"
mount "$loop" "$root"

echo "build-debian: $suite from $mirror"
debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror" >"$work/log" ||
    { tail -20 "$work/log" >&2; exit 1; }
echo "LABEL=coffer-root / ext4 defaults 0 1" >"$root/etc/fstab"
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"

# What a package starts when it is installed would run on the machine that builds.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
mkdir -p "$root/etc/postgresql-common/createcluster.d"
echo "create_main_cluster = false" >"$root/etc/postgresql-common/createcluster.d/coffer.conf"
in_root() { chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }
in_root apt-get -q -y --no-install-recommends install \
    systemd-sysv systemd-resolved systemd-timesyncd dbus udev netbase iproute2 kmod \
    linux-image-cloud-amd64 initramfs-tools cloud-init cloud-guest-utils \
    python3-venv mariadb-server mariadb-backup postgresql-15 redis-server e2fsprogs dosfstools >>"$work/log" 2>&1 ||
    { tail -20 "$work/log" >&2; exit 1; }

echo "build-debian: the guest agent"
mkdir "$root/tmp/bundle"
tar --extract --gzip --file "$bundle" --directory "$root/tmp/bundle" --strip-components 1
in_root /tmp/bundle/install.sh

cat >"$root/etc/cloud/cloud.cfg.d/90_coffer.cfg" <<'CLOUD'
datasource_list: [ConfigDrive, OpenStack]
locale: C.UTF-8
system_info:
  network:
    renderers: [networkd]
CLOUD
in_root systemctl --quiet enable systemd-networkd systemd-resolved systemd-timesyncd
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
mkdir -p "$root/boot/extlinux"
cat >"$root/boot/extlinux/extlinux.conf" <<'BOOT'
DEFAULT debian
LABEL debian
  LINUX /vmlinuz
  INITRD /initrd.img
  APPEND root=LABEL=coffer-root ro console=tty0 console=ttyS0,115200
BOOT
extlinux --install "$root/boot/extlinux" 2>>"$work/log"

# Nothing in an image is one server's own, or a secret: no host keys, no seed, no machine id, no logs.
in_root apt-get clean
rm -rf "$root"/usr/sbin/policy-rc.d "$root"/tmp/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
    "$root"/var/lib/mysql/* "$root"/etc/ssh/ssh_host_* "$root"/var/lib/systemd/random-seed \
    "$root"/etc/mysql/debian.cnf
: >"$root/etc/machine-id"

echo "build-debian: $image"
umount -R "$root"
mkdir -p "$(dirname "$image")"
qemu-img convert -c -O qcow2 "$work/disk.raw" "$image"
sha256sum "$image"
