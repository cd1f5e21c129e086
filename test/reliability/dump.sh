#!/bin/sh
# Protects: data leaves and comes back by pg_dump, and pg_upgrade agrees to take
# the cluster over, with everything of engramk that a table can hold on to.
#
# pg_upgrade --check runs against a new cluster of the same version, and of
# NEW_BINDIR's where that is set and has the library.
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

new_server old
sql "CREATE SCHEMA elsewhere;
	DROP EXTENSION engramk;
	CREATE EXTENSION engramk SCHEMA elsewhere;
	CREATE TABLE item (i integer, v real[],
		norm double precision GENERATED ALWAYS AS (elsewhere.engram_norm(v)) STORED);
	INSERT INTO item SELECT i, array(SELECT sin(i * j)::real FROM generate_series(1, 20) AS j) FROM generate_series(1, 100) AS i;
	CREATE INDEX ON item ((v OPERATOR(elsewhere.<=>) '{1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}'));
	CREATE TABLE checked (v real[] CHECK (elsewhere.engram_is_valid(v)));
	CREATE VIEW nearest AS SELECT i, v OPERATOR(elsewhere.<->) (SELECT v FROM item WHERE i = 1) AS distance FROM item ORDER BY distance LIMIT 10;
	CREATE VIEW watched AS SELECT * FROM elsewhere.engram_stat_arena;
	CREATE ROLE resetter;
	GRANT EXECUTE ON FUNCTION elsewhere.engram_stat_reset() TO resetter;
	CREATE DATABASE older;
	CREATE DATABASE fresh"
PGDATABASE=older sql "CREATE EXTENSION engramk VERSION '1.0'; CREATE TABLE item AS SELECT '{1,2}'::real[] AS v"

contents="SELECT md5(string_agg(item::text, ',' ORDER BY i)) FROM item;
	SELECT md5(string_agg(nearest::text, ',')) FROM nearest;
	SELECT has_function_privilege('resetter', 'elsewhere.engram_stat_reset()', 'EXECUTE'),
		has_table_privilege('pg_read_all_stats', 'elsewhere.engram_stat_backends', 'SELECT');
	SELECT 'yes' FROM watched"
before=$(echo "$contents" | session)
"$bindir/pg_dump" -Fc -f "$scratch/dump" postgres
"$bindir/pg_restore" --exit-on-error -d fresh "$scratch/dump"
is "dumped and restored: data, views and privileges are the same" \
	"$(echo "$contents" | PGDATABASE=fresh session)" "$before"
is "and the restored check still refuses" \
	"$(echo "INSERT INTO checked VALUES ('{NaN}')" | PGDATABASE=fresh session)" 'ERROR:  23514'

stop_server fast
old=$data
make_server new
cd "$data.run" || exit
check()
{
	as_server "$1/pg_upgrade" --check -U postgres -b "$bindir" -B "$1" -d "$old" -D "$data" \
		-s "$data.run" -o "-c config_file=$old/postgresql.conf" >"$scratch/upgrade" 2>&1 || sed 's/^/# /' "$scratch/upgrade"
	tail -1 "$scratch/upgrade" | sed 's/^\**//;s/\**$//'
}
is "pg_upgrade --check, with databases at two versions of the extension" \
	"$(check "$bindir")" 'Clusters are compatible'
