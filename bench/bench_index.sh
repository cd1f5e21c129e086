#!/bin/sh
# The exact index beside a sequential scan and, when pgvector is installed, its
# HNSW index, built at default settings and asked at several ef_search: build,
# size, insert, query and recall.
#
#	bench/bench_index.sh [FILE.tsv]...
#
# A file has lines of a name, a tab and {x1,...,xn}, as COPY reads them; several
# are measured one after another.  Default: the 10,000 words of test/data.
# QUERIES (100) rows are taken out of the table and asked for, by turns between
# the contestants, in a warm server.  EF_SEARCH ("40 100 200 400") are pgvector's.
# RESULTS (bench/results/index.tsv) gets the figures of the chart of index.gp: file,
# contestant, ef_search, median and recall.
# EXTENSION_DESTDIRS names directories with the files of other extensions, as
# DESTDIR of their make install.  The build must be up to date.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
QUERIES=${QUERIES:-100}
EF_SEARCH=${EF_SEARCH:-40 100 200 400}
RESULTS=${RESULTS:-$here/results/index.tsv}
export QUERIES EF_SEARCH RESULTS

if [ "${1:-}" = --in-server ]; then
	shift
	psql -X -q -c 'CREATE EXTENSION vector' 2>/dev/null || echo "pgvector is not installed"
	: >"$RESULTS"
	for file in "$@"; do
		SET=$(basename "$file" .gz)
		export SET
		echo
		echo "== $SET"
		case $file in *.gz) read="zcat $file" ;; *) read="cat $file" ;; esac
		$read | psql -X -q -v ON_ERROR_STOP=1 -v queries="$QUERIES" -f "$here/bench_index_load.sql"
		psql -X -q -v ON_ERROR_STOP=1 -v efs="{$(echo "$EF_SEARCH" | tr ' ' ,)}" -f "$here/bench_index.sql"
	done
	exit
fi

mkdir -p "$(dirname "$RESULTS")"
[ $# -gt 0 ] || set -- "$here/../test/data/glove100-10k.tsv.gz"
exec "$here/../test/with-cluster.sh" -o shared_buffers=2GB -o jit=off \
	-o max_parallel_workers_per_gather=0 -o max_parallel_maintenance_workers=0 \
	-o maintenance_work_mem=1GB -o max_wal_size=4GB -o autovacuum=off \
	"$here/bench_index.sh" --in-server "$@"
