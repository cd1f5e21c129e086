#!/bin/sh
# How an index grows: build, size, memory, query with one process and more, insert
# and vacuum, of so many vectors x 128.
#
#	bench/bench_growth.sh [ROWS]...
#
# Default: 10000 100000 1000000.  10000000 takes 9 GB of disk and some minutes.
# QUERIES (50) vectors of another seed are asked for, three times each, by turns with
# so many processes; PROCESSES ("1 2 4").  RESULTS (bench/results/growth.tsv) gets the
# figures of the chart of growth.gp.  The build must be up to date.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
QUERIES=${QUERIES:-50}
PROCESSES=${PROCESSES:-1 2 4}
RESULTS=${RESULTS:-$here/results/growth.tsv}
NOTES=$here/results/growth.notes
export QUERIES PROCESSES RESULTS NOTES

vectors()
{
	zcat "$here/../test/data/glove100-10k.tsv.gz" | "$here/results/vectors" "$@"
}

if [ "${1:-}" = --in-server ]; then
	shift
	: >"$RESULTS"
	psql -X -q -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION engramk'
	printf '%10s %8s %8s %10s' vectors build,s MB 'build,MB'
	for n in $PROCESSES; do printf ' %9s' "$n,ms"; done
	printf ' %10s %10s %9s %9s %9s\n' 'insert/s' 'vacuum,s' 'read,MB' 'WAL,MB' 'vac,MB'
	for rows in "$@"; do
		psql -X -q -v ON_ERROR_STOP=1 -c 'DROP TABLE IF EXISTS items, queries' \
			-c 'CREATE TABLE items (id integer, embedding real[])' -c 'CREATE TABLE queries (LIKE items)' 2>/dev/null
		vectors "$rows" 128 1 | psql -X -q -v ON_ERROR_STOP=1 -c '\copy items FROM pstdin (FORMAT binary)'
		vectors "$QUERIES" 128 2 | psql -X -q -v ON_ERROR_STOP=1 -c '\copy queries FROM pstdin (FORMAT binary)'
		psql -X -q -A -t -v ON_ERROR_STOP=1 -v rows="$rows" -v processes="{$(echo "$PROCESSES" | tr ' ' ,)}" \
			-f "$here/bench_growth.sql" | tee -a "$RESULTS" | tr '\t' ' '
	done
	exit
fi

mkdir -p "$here/results"
cc -O2 -o "$here/results/vectors" "$here/vectors.c" -lm
[ $# -gt 0 ] || set -- 10000 100000 1000000
exec "$here/../test/with-cluster.sh" -o shared_buffers="${SHARED_BUFFERS:-4GB}" -o jit=off \
	-o max_parallel_maintenance_workers=0 -o max_worker_processes=16 -o max_parallel_workers=8 \
	-o maintenance_work_mem=1GB -o max_wal_size=16GB -o checkpoint_timeout=1h -o autovacuum=off \
	"$here/bench_growth.sh" --in-server "$@"
