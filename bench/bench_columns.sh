#!/bin/sh
# What filter columns of an index are good for: the ten nearest among the rows of one
# kind, by an index that has the kind as a column, by the best plan without that, by a
# bitmap and a sort, and when pgvector is installed by the same index of its vector and
# by its HNSW with iterative scans in both orders; from ten rows that pass to all.  The rows of a kind are beside each
# other in the table, or scattered; or they are correlated with the vectors: of another
# topic than the query, those nearest to a vector far from it, or the farthest of all.
#
#	bench/bench_columns.sh		(ROWS=1000000 DIMS=256 QUERIES=10)
#
# RESULTS (bench/results/columns.tsv) gets the figures of the chart of columns.gp: where
# the rows are, how many pass, contestant, median, recall and rows returned.
# EXTENSION_DESTDIRS names directories with the files of other extensions, as
# DESTDIR of their make install.  The build must be up to date.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
ROWS=${ROWS:-1000000}
DIMS=${DIMS:-256}
QUERIES=${QUERIES:-10}
RESULTS=${RESULTS:-$here/results/columns.tsv}
export ROWS DIMS QUERIES RESULTS

vectors()
{
	zcat "$here/../test/data/glove100-10k.tsv.gz" | "$here/results/vectors" "$@"
}

if [ "${1:-}" = --in-server ]; then
	psql -X -q -c 'CREATE EXTENSION vector' 2>/dev/null || echo "pgvector is not installed"
	psql -X -q -v ON_ERROR_STOP=1 -c "CREATE EXTENSION engramk" \
		-c 'CREATE TABLE loaded (id integer, embedding real[])' -c 'CREATE TABLE asked (LIKE loaded)'
	vectors "$ROWS" "$DIMS" 1 | psql -X -q -v ON_ERROR_STOP=1 -c '\copy loaded FROM pstdin (FORMAT binary)'
	vectors $((QUERIES + 1)) "$DIMS" 2 | psql -X -q -v ON_ERROR_STOP=1 -c '\copy asked FROM pstdin (FORMAT binary)'
	exec psql -X -q -v ON_ERROR_STOP=1 -v dims="$DIMS" -v results="$RESULTS" -f "$here/bench_columns.sql"
fi

mkdir -p "$here/results"
cc -O2 -o "$here/results/vectors" "$here/vectors.c" -lm
exec "$here/../test/with-cluster.sh" -o shared_buffers="${SHARED_BUFFERS:-6GB}" -o jit=off \
	-o max_parallel_workers_per_gather=0 -o maintenance_work_mem=4GB -o max_wal_size=16GB \
	-o checkpoint_timeout=1h -o autovacuum=off "$here/bench_columns.sh" --in-server
