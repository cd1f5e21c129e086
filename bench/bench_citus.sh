#!/bin/sh
# The nearest ten of one table beside those of shards: two workers with 1, 2 and 4
# shards each, distributed by id; one tenant of a hundred, distributed by tenant; and
# what the order of loading costs.
#
#	bench/bench_citus.sh [FILE.tsv]
#
# FILE is as bench_index.sh takes it; without one, ROWS (240000) vectors x DIMS (128)
# of vectors.c.  QUERIES (200) of them are taken out of the table and asked for, three
# times, by turns; medians.  EXTENSION_DESTDIRS names the DESTDIR of Citus' make
# install.  All servers are on this machine: what a network costs is missing, and so is
# the work of several machines at once.  The build must be up to date.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
ROWS=${ROWS:-240000}
DIMS=${DIMS:-128}
QUERIES=${QUERIES:-200}
mkdir -p "$top/bench/results"
cc -O2 -o "$top/bench/results/vectors" "$top/bench/vectors.c" -lm

# shellcheck source=test/server.sh
. "$top/test/server.sh"
ports=
for name in coordinator first second; do
	make_listening_server "$name" "shared_preload_libraries = 'citus'" "session_preload_libraries = 'engramk'" \
		"citus.node_conninfo = 'sslmode=prefer'" "shared_buffers = 1GB" "jit = off" "autovacuum = off" \
		"max_wal_size = 8GB" "maintenance_work_mem = 1GB" "max_parallel_workers_per_gather = 0" \
		"max_parallel_maintenance_workers = 0"
	start_server
	sql 'CREATE EXTENSION citus'
	ports="$ports $PGPORT"
done
# shellcheck disable=SC2086 # one argument each
set -- ${1:-none} $ports
file=$1
export PGPORT="$2"

ask()
{
	psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

ask -c "SELECT citus_set_coordinator_host('127.0.0.1', $2)" -c "SELECT citus_add_node('127.0.0.1', $3)" \
	-c "SELECT citus_add_node('127.0.0.1', $4)" -c 'CREATE EXTENSION engramk' >/dev/null
ask -c 'CREATE TABLE source (id integer, embedding real[])'
if [ "$file" != none ]; then
	ask -c 'CREATE TABLE named (name text, embedding real[])' -c "\\copy named FROM '$file'" \
		-c 'INSERT INTO source SELECT row_number() OVER (), embedding FROM named' -c 'DROP TABLE named'
else
	zcat "$top/test/data/glove100-10k.tsv.gz" | "$top/bench/results/vectors" "$ROWS" "$DIMS" |
		ask -c '\copy source FROM pstdin (FORMAT binary)'
fi
ask -v queries="$QUERIES" -f "$top/bench/bench_citus.sql"
