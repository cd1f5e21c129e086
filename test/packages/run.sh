#!/bin/sh
# Builds the Debian packages in a clean root of this Debian release, and proves
# what is said of them: the build needs no more than it names, two builds have
# the same bytes, what is installed works from the packages alone, nothing is
# left after removal, and an upgrade and the way back disturb nobody.
#
#	test/packages/run.sh [DIRECTORY]	leaves the packages in DIRECTORY
#
# The older packages are those of the last release, from the history of the
# project, with the debian/ of this one.  Without the history that is skipped,
# and said so.
#
# EXTENSION_DESTDIRS has engramk_pgvector tested as well (test/server.sh).
# PACKAGES_BRIEFLY: one build, installed and removed.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d /tmp/engramk.XXXXXX)
chmod 755 "$scratch"
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
# shellcheck source=test/packages/roots.sh
. "$top/test/packages/roots.sh"
skipped=77
failures=0

missing=$(missing_for_roots)
if [ -n "$missing" ]; then
	echo "SKIPPED: $missing"
	exit $skipped
fi

# check WHAT COMMAND [ARGUMENT]...
check()
{
	what=$1
	shift
	if "$@" >"$scratch/output" 2>&1; then
		echo "ok - $what"
	else
		failures=$((failures + 1))
		echo "not ok - $what"
		tail -n 200 "$scratch/output" | sed 's/^/# /'
	fi
}

# build DIRECTORY [NAME=VALUE]...: the packages of the sources in this directory
# of the root for builds, beside it, in an environment with these variables.
build()
{
	sources=$1
	shift
	# shellcheck disable=SC2016 # for the shell in there
	in_root building env DEB_BUILD_OPTIONS="nocheck parallel=2" DEB_BUILD_PROFILES=nocheck "$@" \
		sh -ec 'umask "${MASK:-022}"; cd "$0"; dpkg-buildpackage --build=binary -us -uc' "$sources" \
		>"$scratch/build.log" 2>&1 || {
		cat "$scratch/build.log"
		echo "not ok - dpkg-buildpackage in $sources"
		exit 1
	}
}

# From this build's directory to the root where packages are installed
deliver()
{
	mkdir -p "$scratch/clean/packages/$2"
	cp "$scratch/building/$1"/*.deb "$scratch/clean/packages/$2"
}

same_packages()
{
	for package in "$scratch/building$1"/*.deb; do
		cmp "$package" "$scratch/building$2/${package##*/}" || return 1
	done
}

no_bitcode()
{
	for package in "$scratch"/building/one/*.deb; do
		! dpkg-deb -c "$package" | grep -E 'bitcode|\.bc$' || return 1
	done
}

# Whatever the flags of packages are: only entry points, and bound to our own symbols.
exports_entry_points()
{
	dpkg-deb -x "$scratch"/building/one/postgresql-*-engramk_*.deb "$scratch/unpacked"
	library=$(find "$scratch/unpacked" -name engramk.so)
	readelf -d "$library" | grep -F SYMBOLIC || return 1
	! nm -D --defined-only "$library" | grep -vE ' (Pg_magic_func|_PG_init|(pg_finfo_)?ek_sql_[a-z0-9_]+)$'
}

# What autopkgtest would do, where it can be seen.
autopkgtest()
{
	in_root building sh -ec "dpkg -i /one/postgresql-*-engramk_*.deb /one/postgresql-*-engramk-downgrades_*.deb
		cd /one/engramk && debian/tests/installcheck"
}

# An upgrade and the ways back, between the last release and this.
drill()
{
	"$top/test/drill/release-sources.sh" "$ENGRAMK_OLD_VERSION" "$scratch/building/older/engramk" 2>"$scratch/why" || {
		echo "SKIPPED: the drill of packages: $(cat "$scratch/why")"
		return
	}
	release=$(sed -nE 's/^   "version": "(.*)",$/\1/p' "$scratch/building/older/engramk/META.json")
	rm -rf "$scratch/building/older/engramk/debian"
	cp -R "$top/debian" "$scratch/building/older/engramk"
	sed -i "1s/(.*)/($release-1)/" "$scratch/building/older/engramk/debian/changelog"
	build /older/engramk DEB_BUILD_OPTIONS='nocheck noautodbgsym parallel=2'
	deliver older older
	in_root clean perl /mnt/test/packages/drill.pl "$major" "$ENGRAMK_OLD_VERSION" "$ENGRAMK_NEW_VERSION" || failures=$((failures + 1))
}

# shellcheck source=test/drill/versions.sh
. "$top/test/drill/versions.sh"

make_root clean postgresql 2>"$scratch/root.log" || {
	cat "$scratch/root.log"
	echo "SKIPPED: no clean root can be made"
	exit $skipped
}
major=$(in_root clean /usr/share/postgresql-common/supported-versions | tail -n 1)
for directory in ${EXTENSION_DESTDIRS:-}; do
	cp -R "$directory/." "$scratch/clean"
done
cp -a "$scratch/clean" "$scratch/building"
mkdir "$scratch/building/one"
"$top/test/copy-sources.sh" "$scratch/building/one/engramk"
cp -L /etc/resolv.conf "$scratch/building/etc"
# apt-get reads the list of what is needed from debian/control
in_root building sh -ec 'apt-get update -q && cd /one/engramk && apt-get install -y -q build-essential &&
	apt-get build-dep -y -q --build-profiles nocheck .' >"$scratch/apt.log" 2>&1 || {
	cat "$scratch/apt.log"
	exit 1
}
build /one/engramk ${PACKAGES_BRIEFLY:+DEB_BUILD_OPTIONS='nocheck noautodbgsym parallel=2'}
echo "ok - the build needs what debian/control names"
check "no package has bitcode for JIT" no_bitcode
check "the library exports entry points, and nothing else" exports_entry_points

if [ -z "${PACKAGES_BRIEFLY:-}" ]; then
	mkdir -p "$scratch/building/another/much/longer/directory"
	"$top/test/copy-sources.sh" "$scratch/building/another/much/longer/directory/sources"
	find "$scratch/building/another" -exec touch -h -d '2 days' {} +
	build /another/much/longer/directory/sources MASK=077 TZ=Asia/Tokyo LC_ALL=C
	check "autopkgtest: the regression tests beside the installed packages" autopkgtest
	check "two builds, in other directories, at other times: the same bytes" \
		same_packages /one /another/much/longer/directory
fi
deliver one newer
if [ $# -gt 0 ]; then
	mkdir -p "$1"
	cp "$scratch"/building/one/*.deb "$1"
fi

check "installed, demonstrated and removed, from the packages alone" in_root clean /mnt/test/packages/installed.sh "$major"
[ -n "${PACKAGES_BRIEFLY:-}" ] || drill
[ $failures -eq 0 ] || exit 1
