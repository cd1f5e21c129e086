# shellcheck shell=sh
# What the tests of reliability share; they source it.
#
# A server of their own, which they can crash, limit and start again, with this
# build of engramk (or the one in $BUILD) installed into a temporary directory.
# Everything is gone at the end.  Honours PG_CONFIG; a PostgreSQL outside
# Debian's layout must be 18 or later.
set -eu

PG_CONFIG=${PG_CONFIG:-pg_config}
export PG_CONFIG
top=$(cd "$(dirname "$0")/../.." && pwd)
bindir=$("$PG_CONFIG" --bindir)
failures=0

scratch=$(mktemp -d /tmp/engramk.XXXXXX)
chmod 755 "$scratch"
trap finish EXIT
trap 'exit 130' INT TERM

# A server refuses to run as root.
as_server()
{
	if [ "$(id -u)" -eq 0 ]; then
		runuser -u "${ENGRAMK_SERVER_USER:-postgres}" -- "$@"
	else
		"$@"
	fi
}

install_build()
{
	make -s -C "${BUILD:-$top}" install DESTDIR="$scratch/install" >/dev/null
	chmod -R a+rX "$scratch/install"
}

# A copy of the sources in $scratch/build, built with the given variables.
build_variant()
{
	mkdir "$scratch/build"
	tar c -C "$top" --exclude .git --exclude '*.o' --exclude '*.bc' --exclude '*.so' \
		--exclude build --exclude results . | tar x -C "$scratch/build"
	make -s -j2 -C "$scratch/build" "$@" all >"$scratch/build.log" 2>&1 || {
		cat "$scratch/build.log" >&2
		exit 2
	}
	BUILD=$scratch/build
}

# Makes a cluster called $1 with further lines of configuration from $2 on.
make_server()
{
	data=$scratch/$1
	shift
	[ -d "$scratch/install" ] || install_build
	mkdir "$data" "$data.run"
	chmod 777 "$data.run"
	[ "$(id -u)" -ne 0 ] || chown "${ENGRAMK_SERVER_USER:-postgres}" "$data"
	as_server "$bindir/initdb" -D "$data" -U postgres --locale=C.UTF-8 -E UTF8 -A trust >/dev/null
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$data.run'"
		echo "fsync = off"
		echo "dynamic_library_path = '$scratch/install$("$PG_CONFIG" --pkglibdir):\$libdir'"
		case $bindir in
			/usr/lib/postgresql/*)
				echo "extension_destdir = '$scratch/install'" ;;
			*)
				echo "extension_control_path = '$scratch/install$("$PG_CONFIG" --sharedir):\$system'" ;;
		esac
		[ $# -eq 0 ] || printf '%s\n' "$@"
	} >>"$data/postgresql.conf"
	export PGHOST="$data.run" PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

start_server()
{
	as_server "$bindir/pg_ctl" -D "$data" -l "$data.run/log" -s -w start
}

# immediate, fast or smart
stop_server()
{
	as_server "$bindir/pg_ctl" -D "$data" -m "$1" -s -w stop
}

# A server that runs, with the extension in it.
new_server()
{
	make_server "$@"
	start_server
	sql 'CREATE EXTENSION engramk'
}

finish()
{
	status=$?
	for pidfile in "$scratch"/*/postmaster.pid; do
		[ ! -e "$pidfile" ] ||
			as_server "$bindir/pg_ctl" -D "$(dirname "$pidfile")" -m immediate -s stop || true
	done
	rm -rf "$scratch"
	[ "$failures" -eq 0 ] || status=1
	exit "$status"
}

# Statements in one new session; rows without decoration.
sql()
{
	printf '%s\n;\n' "$1" | psql -X -q -A -t -v ON_ERROR_STOP=1
}

# The same, with statements from standard input, and going on after an error,
# of which it shows the SQLSTATE only.
session()
{
	psql -X -q -A -t -v VERBOSITY=sqlstate 2>&1
}

# Waits until the query returns t.
wait_until()
{
	tries=0
	until [ "$(sql "$1")" = t ]; do
		tries=$((tries + 1))
		if [ "$tries" -gt 600 ]; then
			echo "never became true: $1" >&2
			exit 1
		fi
		sleep 0.05
	done
}

wait_for_server()
{
	tries=0
	until psql -X -q -c 'SELECT 1' >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -le 600 ] || exit 1
		sleep 0.05
	done
}

milliseconds()
{
	echo $(($(date +%s%N) / 1000000))
}

# is NAME ACTUAL EXPECTED
is()
{
	if [ "$2" = "$3" ]; then
		echo "ok - $1"
		return
	fi
	failures=$((failures + 1))
	echo "not ok - $1"
	printf '# got:\n%s\n# expected:\n%s\n' "$2" "$3"
}

# What is worth writing down but depends on the machine.
note()
{
	echo "# $*"
}
