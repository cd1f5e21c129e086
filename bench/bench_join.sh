#!/bin/sh
# Many against many, in a throwaway server; join.sql says what is measured.
#
#	bench/bench_join.sh		(ROWS=100000 DIMS=768 QUERIES=1000 SAMPLE=20 ARENA_SIZE=2MB)
#
# EXTENSION_DESTDIRS names directories with the files of other extensions, as
# DESTDIR of their make install.  The build must be up to date.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

if [ "${1:-}" = --in-server ]; then
	psql -X -q -c 'CREATE EXTENSION vector' 2>/dev/null || echo "pgvector is not installed"
	exec psql -X -q -v ON_ERROR_STOP=1 -v rows="${ROWS:-100000}" -v dims="${DIMS:-768}" \
		-v queries="${QUERIES:-1000}" -v sample="${SAMPLE:-20}" -f "$here/join.sql"
fi

exec "$here/../test/with-cluster.sh" -o shared_buffers=2GB -o jit=off \
	-o max_parallel_workers_per_gather=0 -o max_wal_size=4GB -o autovacuum=off \
	-o engramk.arena_size="${ARENA_SIZE:-2MB}" "$here/bench_join.sh" --in-server
