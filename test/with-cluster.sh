#!/bin/sh
# Runs a command beside a throwaway PostgreSQL server in which this build of
# engramk can be created, and removes both afterwards.
#
#	test/with-cluster.sh [-o NAME=VALUE]... COMMAND [ARGUMENT]...
#
# libpq's environment variables point the command at the server.  The extension
# is installed into a temporary directory, never into the PostgreSQL itself.
# The build must be up to date.  Honours PG_CONFIG; a PostgreSQL outside
# Debian's layout must be 18 or later, which can look for extensions elsewhere.
set -eu

PG_CONFIG=${PG_CONFIG:-pg_config}
top=$(cd "$(dirname "$0")/.." && pwd)
major=$("$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
bindir=$("$PG_CONFIG" --bindir)

settings=""
while [ "${1:-}" = -o ]; do
	settings="$settings -o $2"
	shift 2
done

scratch=$(mktemp -d /tmp/engramk.XXXXXX)
chmod 755 "$scratch"
mkdir "$scratch/run"
chmod 777 "$scratch/run"
data=
cleanup()
{
	[ -z "$data" ] || as_server "$bindir/pg_ctl" -D "$data" -m immediate -s stop || true
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The server refuses to run as root.
as_server()
{
	if [ "$(id -u)" -eq 0 ]; then
		runuser -u "${ENGRAMK_SERVER_USER:-postgres}" -- "$@"
	else
		"$@"
	fi
}

make -s -C "$top" install DESTDIR="$scratch/install" PG_CONFIG="$PG_CONFIG" >/dev/null
chmod -R a+rX "$scratch/install"
export ENGRAMK_DESTDIR="$scratch/install"

case $bindir in
	/usr/lib/postgresql/*)
		# shellcheck disable=SC2086 # settings hold no white space
		# A port of its own, since two that look for a free one at once collide.
		env LC_ALL=C.UTF-8 PG_CONFIG="$PG_CONFIG" PGPORT=$((20000 + $$ % 20000)) pg_virtualenv -t -v "$major" \
			-o "extension_destdir=$scratch/install" \
			-o "external_pid_file=$scratch/run/pid" \
			-o "dynamic_library_path=$scratch/install$("$PG_CONFIG" --pkglibdir):\$libdir" \
			$settings "$@"
		exit ;;
esac

if [ "$major" -lt 18 ]; then
	echo "$0: PostgreSQL $major outside Debian's layout cannot load an extension from elsewhere" >&2
	exit 2
fi
data=$scratch/data
mkdir "$data" "$scratch/socket"
chmod 777 "$scratch/socket"
[ "$(id -u)" -ne 0 ] || chown "${ENGRAMK_SERVER_USER:-postgres}" "$data"
as_server "$bindir/initdb" -D "$data" -U postgres --locale=C.UTF-8 -E UTF8 -A trust >/dev/null
cat >>"$data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$scratch/socket'
extension_control_path = '$scratch/install$("$PG_CONFIG" --sharedir):\$system'
dynamic_library_path = '$scratch/install$("$PG_CONFIG" --pkglibdir):\$libdir'
fsync = off
CONF
for setting in $settings; do
	[ "$setting" = -o ] || echo "${setting%%=*} = '${setting#*=}'" >>"$data/postgresql.conf"
done
as_server "$bindir/pg_ctl" -D "$data" -l "$scratch/socket/log" -s -w start
env PGHOST="$scratch/socket" PGUSER=postgres PGDATABASE=postgres PG_CONFIG="$PG_CONFIG" "$@"
