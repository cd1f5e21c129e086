#!/bin/sh
# Runs a command inside test/with-cluster.sh, where LOAD 'engramk' works as on a
# system that has it installed, and says where things are:
#
#	test/with-cluster.sh test/drill/in-cluster.sh COMMAND [ARGUMENT]...
#
# PGBIN: the programs of that PostgreSQL.  LIBRARY: the library in place.
set -eu

PGBIN=$("$PG_CONFIG" --bindir)
LIBRARY=$ENGRAMK_DESTDIR$("$PG_CONFIG" --pkglibdir)/engramk.so
export PGBIN LIBRARY

"$PGBIN/psql" -X -q -v ON_ERROR_STOP=1 <<SQL
ALTER SYSTEM SET dynamic_library_path = '$(dirname "$LIBRARY"):\$libdir';
SELECT pg_reload_conf() \\g /dev/null
SQL
until [ "$("$PGBIN/psql" -X -A -t -c 'SHOW dynamic_library_path')" != "\$libdir" ]; do
	:
done

exec "$@"
