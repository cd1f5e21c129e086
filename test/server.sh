# shellcheck shell=sh
# Throwaway servers, for whatever needs one: the one place that makes them.
# Scripts source it after they have set `top` to the top of the project:
#
#	top=$(cd "$(dirname "$0")/.." && pwd)
#	. "$top/test/server.sh"
#
# It makes a copy of the PostgreSQL that PG_CONFIG names in a temporary
# directory, $scratch, of links but for the programs: PostgreSQL finds its files
# from where its programs are.  This build of engramk is installed into the
# copy, and one that is installed in the PostgreSQL itself is left out of it.
# So any PostgreSQL from 14 will do, wherever it is and whatever has been
# installed there, and nothing in it changes.  Everything is gone at the end.
#
# EXTENSION_DESTDIRS names directories with the files of other extensions, as
# DESTDIR of their "make install", which are put into the copy as well.
#
# ENGRAMK_NEW_CLUSTER is a directory for a cluster that nobody has used yet, of which
# others of the same PostgreSQL are copies: initdb is half of the time of a server.
#
# ENGRAMK_DEFAULT_VERSION is the version that CREATE EXTENSION makes, if not the
# latest: with 1.4, indexes of format 1; with 1.5, of format 2.
#
# The build must be up to date.
set -eu

# by its path, since the copy's own comes first in PATH later
PG_CONFIG=$(command -v "${PG_CONFIG:-pg_config}")
export PG_CONFIG
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

# Links to what is in a directory, at its place in the copy, but for what is called so.
link_files()
{
	mkdir -p "$scratch$1"
	find "$1" -mindepth 1 -maxdepth 1 ! -name "${2:-}" -exec cp -rs -t "$scratch$1" {} +
}

# The copy, with the build that is in $BUILD or in $top.  Sets bindir.
install_build()
{
	libraries=$("$PG_CONFIG" --pkglibdir)
	shared=$("$PG_CONFIG" --sharedir)
	programs=$("$PG_CONFIG" --bindir)
	link_files "$shared"
	link_files "$libraries" bitcode
	if [ -d "$libraries/bitcode" ]; then
		# more than a thousand files of the server itself
		link_files "$libraries/bitcode" postgres
		ln -s "$libraries/bitcode/postgres" "$scratch$libraries/bitcode"
	fi
	rm -rf "$scratch$libraries"/engramk.so "$scratch$libraries"/bitcode/engramk* \
		"$scratch$shared"/extension/engramk*
	bindir=$scratch$programs
	mkdir -p "$bindir"
	cp "$programs"/* "$bindir"
	PATH=$bindir:$PATH
	for directory in ${EXTENSION_DESTDIRS:-}; do
		cp -R "$directory/." "$scratch"
	done
	make -s -C "${BUILD:-$top}" install DESTDIR="$scratch" >/dev/null
	[ -z "${ENGRAMK_DEFAULT_VERSION:-}" ] ||
		sed -i "s/^default_version.*/default_version = '$ENGRAMK_DEFAULT_VERSION'/" "$scratch$shared/extension/engramk.control"
	chmod -R a+rX "$scratch"
	LIBRARY=$scratch$libraries/engramk.so
	export PATH LIBRARY
}

# A copy of the sources in $scratch/build, built with the given variables.
build_variant()
{
	"$top/test/copy-sources.sh" "$scratch/build"
	make -s -j2 -C "$scratch/build" "$@" all >"$scratch/build.log" 2>&1 || {
		cat "$scratch/build.log" >&2
		exit 2
	}
	BUILD=$scratch/build
}

# The cluster in $data, before anything is done in it
make_cluster()
{
	if [ -d "${ENGRAMK_NEW_CLUSTER:-}" ]; then
		cp -a "$ENGRAMK_NEW_CLUSTER" "$data"
		return
	fi
	mkdir "$data"
	[ "$(id -u)" -ne 0 ] || chown "${ENGRAMK_SERVER_USER:-postgres}" "$data"
	as_server "$bindir/initdb" -D "$data" --no-sync -U postgres --locale=C.UTF-8 -E UTF8 -A trust >/dev/null
	[ -n "${ENGRAMK_NEW_CLUSTER:-}" ] || return 0
	# in one moment, or somebody would copy a part
	cp -a "$data" "$ENGRAMK_NEW_CLUSTER.$$"
	mv -T "$ENGRAMK_NEW_CLUSTER.$$" "$ENGRAMK_NEW_CLUSTER" 2>/dev/null || rm -rf "$ENGRAMK_NEW_CLUSTER.$$"
}

# Makes a cluster called $1 with further lines of configuration from $2 on, and
# points libpq's environment variables at it.
make_server()
{
	data=$scratch/$1
	shift
	[ -n "${bindir:-}" ] || install_build
	mkdir "$data.run"
	chmod 777 "$data.run"
	make_cluster
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$data.run'"
		echo "fsync = off"
		[ $# -eq 0 ] || printf '%s\n' "$@"
	} >>"$data/postgresql.conf"
	export PGHOST="$data.run" PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

# The same for a server that is reached by TCP, at a port that is free.
make_listening_server()
{
	port=$(perl -MIO::Socket::INET \
		-e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport')
	make_server "$@" "listen_addresses = '127.0.0.1'" "port = $port"
	export PGHOST=127.0.0.1 PGPORT="$port"
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
