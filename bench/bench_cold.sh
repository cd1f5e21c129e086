#!/bin/sh
# The first query after a restart with nothing in memory, beside a plain program that
# reads as many bytes; what has to be in memory for full speed; and queries of a server
# whose shared_buffers hold that, but not what pgvector's HNSW needs.
#
#	bench/bench_cold.sh [FILE.tsv]
#
# FILE is as bench_index.sh takes it; without one, ROWS (1000000) vectors x DIMS (128)
# of vectors.c.  ROUNDS (5) restarts; medians.  A file is taken out of the memory of the
# operating system with dd, which on Linux needs no privilege.  HUGE_PAGES=on takes away
# what it costs a new process to see each page for the first time, if the system has
# some.  The build must be up to date.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
ROWS=${ROWS:-1000000}
DIMS=${DIMS:-128}
ROUNDS=${ROUNDS:-5}
mkdir -p "$top/bench/results"
cc -O2 -o "$top/bench/results/vectors" "$top/bench/vectors.c" -lm

# shellcheck source=test/server.sh
. "$top/test/server.sh"
make_server cold "shared_buffers = 2GB" "jit = off" "autovacuum = off" "max_wal_size = 8GB" \
	"maintenance_work_mem = 2GB" "max_parallel_workers_per_gather = 0" \
	"max_parallel_maintenance_workers = 0" "huge_pages = ${HUGE_PAGES:-off}"
start_server

ask()
{
	psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

ask -c 'CREATE EXTENSION engramk' -c 'CREATE TABLE items (id integer, embedding real[])' \
	-c 'ALTER TABLE items ALTER embedding SET STORAGE plain'
if [ $# -gt 0 ]; then
	ask -c 'CREATE TABLE named (name text, embedding real[])' -c "\\copy named FROM '$1'" \
		-c 'INSERT INTO items SELECT row_number() OVER (), embedding FROM named' -c 'DROP TABLE named'
else
	zcat "$top/test/data/glove100-10k.tsv.gz" | "$top/bench/results/vectors" "$ROWS" "$DIMS" |
		ask -c '\copy items FROM pstdin (FORMAT binary)'
fi
ask -c 'CREATE TABLE queries AS SELECT * FROM items ORDER BY hashint4(id) LIMIT 100' \
	-c 'DELETE FROM items USING queries WHERE items.id = queries.id' \
	-c 'CREATE INDEX exact ON items USING engramk (embedding)' -c 'VACUUM ANALYZE items'
file()
{
	echo "$data/$(ask -c "SELECT pg_relation_filepath('$1')")"
}
hot=$(ask -c "SELECT ceil(vectors * coarse_bytes / 8192) FROM engram_index_info('exact')")
forget()
{
	for name in "$@"; do
		for segment in "$name" "$name".[0-9]*; do
			[ ! -e "$segment" ] || dd if="$segment" iflag=nocache count=0 2>/dev/null
		done
	done
}
median()
{
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
in_ms()
{
	began=$(date +%s%N)
	"$@" >/dev/null 2>&1
	echo $((($(date +%s%N) - began) / 1000)) | awk '{ printf "%.1f\n", $1 / 1000 }'
}

index=$(file exact)
table=$(file items)
# The session is there, and its catalogs are in memory; then the index is asked twice.
first_query()
{
	psql -X -q -A -t <<-SQL | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
		SET enable_seqscan = off;
		PREPARE q AS SELECT id FROM items ORDER BY embedding <=> (SELECT embedding FROM queries LIMIT 1) LIMIT 10;
		EXPLAIN EXECUTE q;
		SELECT engram_cosine('{1}', '{1}'), (SELECT count(*) FROM queries);
		\timing on
		EXECUTE q;
		EXECUTE q;
	SQL
}

round=0
while [ $round -lt "$ROUNDS" ]; do
	stop_server fast
	sync
	forget "$index" "$table"
	in_ms dd if="$index" of=/dev/null bs=8k count="$hot" >>"$scratch/plain"
	forget "$index" "$table"
	start_server
	first_query >"$scratch/times"
	sed -n 1p "$scratch/times" >>"$scratch/first"
	sed -n 2p "$scratch/times" >>"$scratch/second"
	# another session, for which everything is in memory
	first_query | sed -n 1p >>"$scratch/new"
	round=$((round + 1))
done
echo "plain program that reads the $((hot * 8 / 1024)) MB of coarse codes: $(median <"$scratch/plain") ms"
echo "first query after a restart, nothing in memory:  $(median <"$scratch/first") ms"
echo "first query of a session, everything in memory:  $(median <"$scratch/new") ms"
echo "second query of a session:                       $(median <"$scratch/second") ms"

ask -c 'CREATE EXTENSION vector' 2>/dev/null || {
	echo "pgvector is not installed: no more"
	exit
}
dims=$(ask -c 'SELECT cardinality(embedding) FROM items LIMIT 1')
ask -c "CREATE TABLE vectors AS SELECT id, embedding::vector($dims) AS embedding FROM items" \
	-c 'CREATE INDEX approximate ON vectors USING hnsw (embedding vector_cosine_ops)' -c 'VACUUM ANALYZE vectors'
hnsw=$(ask -c "SELECT pg_relation_size('approximate') / 1048576")
echo "hot bytes: engramk $((hot * 8 / 1024)) MB of $(ask -c "SELECT pg_relation_size('exact') / 1048576") MB, HNSW $hnsw MB"
for buffers in "$((hot * 12 / 1024 + 24))" "$((hnsw * 3 / 2 + 200))"; do
	stop_server fast
	sed -i "s/^shared_buffers.*/shared_buffers = ${buffers}MB/" "$data/postgresql.conf"
	start_server
	ask -v buffers="$buffers" -f "$top/bench/bench_cold.sql"
done
