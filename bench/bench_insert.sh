#!/bin/sh
# Clients that insert rows one by one, into a table with an engramk index and into one
# without, by turns: rows a second of both, and their ratio.
#
#	bench/bench_insert.sh [CLIENTS]...
#
# Default: 1 16.  SECONDS_EACH (6), ROUNDS (5), ROWS (20000) that the tables have before,
# and DIMS (128).  One statement is one transaction; fsync is off, since a disk that
# waits would hide the rest.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
SECONDS_EACH=${SECONDS_EACH:-6}
ROUNDS=${ROUNDS:-5}
ROWS=${ROWS:-20000}
DIMS=${DIMS:-128}
export SECONDS_EACH ROUNDS ROWS DIMS

# rate TABLE CLIENTS
rate()
{
	psql -X -q -c CHECKPOINT
	printf '\\set i random(1, %d)\nINSERT INTO %s SELECT id, embedding FROM pool WHERE id = :i;\n' "$ROWS" "$1" |
		pgbench -n -M prepared -c "$2" -j 2 -T "$SECONDS_EACH" -f /dev/stdin | awk '/^tps/ {print $3}'
}

# The middle one of so many numbers.
median()
{
	sort -n | awk '{value[NR] = $1} END {print value[int((NR + 1) / 2)]}'
}

if [ "${1:-}" = --in-server ]; then
	shift
	psql -X -q -v ON_ERROR_STOP=1 -v rows="$ROWS" -v dims="$DIMS" <<-'SQL'
		CREATE EXTENSION engramk;
		CREATE TABLE pool (id integer PRIMARY KEY, embedding real[]);
		INSERT INTO pool SELECT i, ARRAY(SELECT ((random() - 0.5) / (1 + j / 8))::real
			FROM generate_series(1, :dims) AS j WHERE i > 0) FROM generate_series(1, :rows) AS i;
		CREATE TABLE plain AS TABLE pool;
		CREATE TABLE indexed AS TABLE pool;
		CREATE INDEX ON indexed USING engramk (embedding);
		VACUUM ANALYZE;
	SQL
	printf '%8s %12s %12s %8s\n' clients without/s with/s ratio
	for clients in "$@"; do
		: >"$here/results/insert.tsv"
		for _ in $(seq "$ROUNDS"); do
			printf '%s\t%s\n' "$(rate plain "$clients")" "$(rate indexed "$clients")" >>"$here/results/insert.tsv"
		done
		printf '%8d %12.0f %12.0f %8.2f\n' "$clients" "$(cut -f 1 "$here/results/insert.tsv" | median)" \
			"$(cut -f 2 "$here/results/insert.tsv" | median)" \
			"$(awk '{print $2 / $1}' "$here/results/insert.tsv" | median)"
	done
	exit
fi

mkdir -p "$here/results"
[ $# -gt 0 ] || set -- 1 16
exec "$here/../test/with-cluster.sh" -o shared_buffers=2GB -o fsync=off -o synchronous_commit=on -o autovacuum=off -o max_wal_size=16GB \
	-o checkpoint_timeout=1h "$here/bench_insert.sh" --in-server "$@"
