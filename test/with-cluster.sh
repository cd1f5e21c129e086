#!/bin/sh
# Runs a command beside a throwaway PostgreSQL server in which this build of
# engramk can be created, and removes both afterwards.
#
#	test/with-cluster.sh [-o NAME=VALUE]... COMMAND [ARGUMENT]...
#
# libpq's environment variables point the command at the server, PATH at its
# programs, and LIBRARY is this build's library, where that server loads it
# from.  The build must be up to date.  Honours PG_CONFIG.
top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

settings=""
while [ "${1:-}" = -o ]; do
	settings="$settings${2%%=*} = '${2#*=}'
"
	shift 2
done

make_listening_server server "$settings"
start_server
"$@"
