#!/bin/sh
# Installs the Debian packages that a target of the Makefile needs and that are
# missing, and says which.  Does nothing, silently, when none is missing.
#
#	test/install-packages.sh demo|test|bench|packages
set -eu

if ! command -v dpkg-query >/dev/null; then
	echo "Not a Debian system: the packages named in $0 are assumed to be there." >&2
	exit 0
fi

# The major that PG_CONFIG belongs to, else the one of this Debian release.
major=$("${PG_CONFIG:-pg_config}" --version 2>/dev/null | sed -E 's/^PostgreSQL ([0-9]+).*/\1/') || true
if [ -z "$major" ] || [ ! -d "/usr/lib/postgresql" ] && [ ! -e "$("${PG_CONFIG:-pg_config}" --pgxs 2>/dev/null)" ]; then
	major=15
fi

packages="build-essential postgresql-common"
# A PostgreSQL outside Debian's layout brings its own server and headers.
case $("${PG_CONFIG:-pg_config}" --bindir 2>/dev/null || echo /usr/lib/postgresql) in
	/usr/lib/postgresql*)
		packages="$packages postgresql-$major postgresql-server-dev-$major" ;;
esac

case $1 in
	demo) ;;
	test)
		packages="$packages shellcheck postgresql-$major-pgtap libtap-parser-sourcehandler-pgtap-perl
			libipc-run-perl gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
			clang libclang-rt-14-dev clang-tidy cppcheck python3
			sqlsmith valgrind mmdebstrap unzip
			prometheus prometheus-postgres-exporter prometheus-sql-exporter python3-yaml
			python3-psycopg python3-psycopg2 python3-asyncpg python3-numpy
			python3-sqlalchemy python3-alembic python3-django
			default-jdk-headless libpostgresql-jdbc-java ruby-activerecord ruby-pg"
		# Any Node.js will do, and one from elsewhere would not go with Debian's npm.
		command -v npm >/dev/null || packages="$packages nodejs npm" ;;
	packages)
		packages="$packages mmdebstrap" ;;
	bench)
		packages="$packages gnuplot-nox libopenblas-dev" ;;
	*)
		echo "usage: $0 demo|test|bench|packages" >&2
		exit 2 ;;
esac

missing=""
for package in $packages; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
		missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "These Debian packages are needed and missing:$missing"
as_root=
if [ "$(id -u)" -ne 0 ]; then
	echo "Installing them with sudo, which may ask for your password."
	as_root=sudo
fi
# A new cluster is not wanted, only the programs.
$as_root mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' |
	$as_root tee /etc/postgresql-common/createcluster.d/engramk.conf >/dev/null
unwanted=/etc/postgresql-common/createcluster.d/engramk.conf
# Nor are services, neither now nor after a restart.
services=$(echo "$missing" | tr ' ' '\n' | grep '^prometheus' || true)
if [ -n "$services" ] && [ ! -e /usr/sbin/policy-rc.d ]; then
	printf '#!/bin/sh\nexit 101\n' | $as_root tee /usr/sbin/policy-rc.d >/dev/null
	$as_root chmod 755 /usr/sbin/policy-rc.d
	unwanted="$unwanted /usr/sbin/policy-rc.d"
fi
# shellcheck disable=SC2064 # these files, whatever happens
trap "$as_root rm -f $unwanted" EXIT
$as_root apt-get update -q
# shellcheck disable=SC2086 # the list is meant to be split
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
if [ -n "$services" ] && command -v systemctl >/dev/null; then
	# shellcheck disable=SC2086 # likewise
	$as_root systemctl --quiet disable $services
fi
