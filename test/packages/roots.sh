# shellcheck shell=sh
# Clean root directories of this Debian release, for tests of packages.  Scripts
# source it after they have set `top` to the top of the project and `scratch` to
# a directory of their own, which they remove.
#
# What happens in a root stays there: its processes end with the command that
# began them, and all that it sees of this machine is the network and, read-only
# under /mnt, the project.  It takes root to make one.

: "${top:?}" "${scratch:?}"

# What a root cannot be made without, in one line; or nothing.
missing_for_roots()
{
	if [ "$(id -u)" -ne 0 ]; then
		echo "it takes root to make a root directory"
	elif ! command -v mmdebstrap >/dev/null; then
		echo "there is no mmdebstrap"
	elif [ ! -e /etc/debian_version ]; then
		echo "this is not Debian"
	elif ! unshare --mount --pid --fork true 2>/dev/null; then
		echo "it takes the right to mount"
	fi
}

# make_root NAME PACKAGE...: the essential packages, these and what they need,
# from where this machine has its own; in $scratch/NAME.
make_root()
{
	root=$scratch/$1
	shift
	apt-config dump Acquire >"$scratch/apt.conf"
	# apt's own placeholders
	# shellcheck disable=SC2016
	apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' | sort -u |
		mmdebstrap --quiet --variant=minbase --include="$(echo "$*" | tr ' ' ',')" \
			--aptopt="$scratch/apt.conf" --aptopt='APT::Install-Recommends "false"' \
			--dpkgopt=force-unsafe-io \
			"$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" "$root" -
}

# in_root NAME COMMAND [ARGUMENT]...
in_root()
{
	root=$scratch/$1
	shift
	# the shell within is the first process there, and reaps what servers leave
	# shellcheck disable=SC2016
	unshare --mount --pid --fork --kill-child sh -euc '
		root=$1 top=$2
		shift 2
		mount -t proc proc "$root/proc"
		mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
		mount --bind "$top" "$root/mnt"
		mount -o remount,bind,ro "$root/mnt"
		status=0
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb \
			DEBIAN_FRONTEND=noninteractive chroot "$root" "$@" || status=$?
		exit $status
	' sh "$root" "$top" "$@"
}
