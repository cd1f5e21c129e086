#!/bin/sh
# One table on several servers of this machine: the nearest ten by engram_fan_out, by
# postgres_fdw in two forms, and of one table with all rows, by turns; then as many clients
# as CLIENTS (8) at once.
#
#	bench/bench_servers.sh
#
# ROWS (480000) vectors of DIMS (128) on SERVERS (4) servers; QUERIES (100) of another seed,
# asked ROUNDS (3) times each; SECONDS_EACH (10) of each kind of clients.  All servers share the
# machine's cores, so the slowest server is also measured while all are asked at once.
# The build must be up to date.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/.." && pwd)
ROWS=${ROWS:-480000} DIMS=${DIMS:-128} SERVERS=${SERVERS:-4}
QUERIES=${QUERIES:-100} ROUNDS=${ROUNDS:-3} CLIENTS=${CLIENTS:-8} SECONDS_EACH=${SECONDS_EACH:-10}
# shellcheck source=test/server.sh
. "$top/test/server.sh"

vectors()
{
	zcat "$top/test/data/glove100-10k.tsv.gz" | "$here/results/vectors" "$@"
}

# A server with settings for a bench; sets PGPORT.
bench_server()
{
	make_listening_server "$1" "shared_buffers = 1GB" "jit = off" "autovacuum = off" "max_wal_size = 8GB" \
		"checkpoint_timeout = 1h" "maintenance_work_mem = 512MB" "max_parallel_workers_per_gather = 0" \
		"session_preload_libraries = 'engramk'"
	start_server
	sql 'CREATE EXTENSION engramk'
}

mkdir -p "$here/results"
cc -O2 -o "$here/results/vectors" "$here/vectors.c" -lm

bench_server front
front=$PGPORT
sql 'CREATE EXTENSION postgres_fdw;
CREATE TABLE whole (id integer, embedding real[]); CREATE TABLE queries (LIKE whole);'
vectors "$ROWS" "$DIMS" 1 | psql -X -q -c '\copy whole FROM pstdin (FORMAT binary)'
vectors "$QUERIES" "$DIMS" 2 | psql -X -q -c '\copy queries FROM pstdin (FORMAT binary)'
sql "CREATE INDEX ON whole USING engramk (embedding); CREATE INDEX ON queries (id); VACUUM ANALYZE"
ports=
for number in $(seq "$SERVERS"); do
	bench_server "server_$number"
	ports="$ports $PGPORT"
	sql 'CREATE TABLE items (id integer, embedding real[]); CREATE TABLE queries (LIKE items)'
	for table in items queries; do
		from="SELECT * FROM queries"
		[ "$table" = queries ] || from="SELECT * FROM whole WHERE id % $SERVERS = $number - 1"
		psql -X -q -p "$front" -c "\\copy ($from) TO pstdout (FORMAT binary)" |
			psql -X -q -c "\\copy $table FROM pstdin (FORMAT binary)"
	done
	sql 'CREATE INDEX ON items USING engramk (embedding); VACUUM ANALYZE'
	psql -X -q -p "$front" -v ON_ERROR_STOP=1 <<SQL
CREATE SERVER s$number FOREIGN DATA WRAPPER postgres_fdw
    OPTIONS (host '$PGHOST', port '$PGPORT', extensions 'engramk', async_capable 'true', use_remote_estimate 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER s$number;
CREATE FOREIGN TABLE items_$number (id integer, embedding real[]) SERVER s$number OPTIONS (table_name 'items');
SQL
done

PGPORT=$front
export PGPORT
names=$(seq -f 's%g' -s , "$SERVERS")
psql -X -q -A -t -v ON_ERROR_STOP=1 -v servers="{$names}" -v server_count="$SERVERS" -v queries="$QUERIES" -v rounds="$ROUNDS" \
	-f "$here/bench_servers.sql"

# Medians of the same question in a loop, as a server sees it itself: of each server, and of
# the front with all of them
median_of()
{
	cat <<SQL
SET client_min_messages = warning;
CREATE OR REPLACE FUNCTION median() RETURNS double precision LANGUAGE plpgsql AS \$\$
DECLARE
    q real[];
    began timestamptz;
    times double precision[] := '{}';
BEGIN
    FOR q IN SELECT embedding FROM queries, generate_series(1, 20) LOOP
        began := clock_timestamp();
        PERFORM $1;
        times := times || 1000 * extract(epoch FROM clock_timestamp() - began)::double precision;
    END LOOP;
    RETURN (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) FROM unnest(times) AS t);
END \$\$;
SELECT median();
SQL
}
median_of 'id, embedding <=> q FROM items ORDER BY embedding <=> q, id LIMIT 10' >"$scratch/median.sql"
alone=0
for port in $ports; do
	ms=$(psql -X -q -A -t -p "$port" -f "$scratch/median.sql")
	alone=$(echo "$ms $alone" | awk '{print ($1 > $2) ? $1 : $2}')
done
for port in $ports; do
	psql -X -q -A -t -p "$port" -f "$scratch/median.sql" >"$scratch/median.$port" &
done
wait
printf '%-44s %8.2f ms\n' 'in a loop, the slowest server, alone' "$alone" \
	'in a loop, the slowest server, all at once' "$(sort -g "$scratch"/median.[0-9]* | tail -1)"
for kind in whole fan_out; do
	printf '%-44s %8.2f ms\n' "in a loop, $kind" "$(median_of "$kind(q)" | psql -X -q -A -t)"
done

# Clients at once
for kind in whole fan_out; do
	echo "\\set n random(1, $QUERIES)
SELECT ${kind}(embedding) FROM queries WHERE id = :n;" >"$scratch/$kind.pgbench"
done
for round in 1 2 3; do
	for kind in whole fan_out; do
		tps=$(pgbench -n -M prepared -c "$CLIENTS" -j 2 -T "$SECONDS_EACH" -f "$scratch/$kind.pgbench" 2>/dev/null |
			sed -n 's/^tps = \([0-9.]*\).*/\1/p' | tail -1)
		printf '%-44s %8.0f queries/s\n' "$CLIENTS clients, $kind, round $round" "$tps"
	done
done
