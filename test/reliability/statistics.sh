#!/bin/sh
# Protects: the statistics are of the whole server without preloading, however
# little shared memory is spare; they do no harm where there is none; and a
# server may have many indexes.
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

new_server statistics

# What libraries of other layouts left of the spare memory, or anybody else.
cat >"$scratch/eater.c" <<-'C'
	#include "postgres.h"
	#include "fmgr.h"
	#include "storage/lwlock.h"
	#include "storage/shmem.h"

	PG_MODULE_MAGIC;
	PG_FUNCTION_INFO_V1(eat);

	Datum
	eat(PG_FUNCTION_ARGS)
	{
		bool		found;

		LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
		ShmemInitStruct("eaten", PG_GETARG_INT32(0), &found);
		LWLockRelease(AddinShmemInitLock);
		PG_RETURN_VOID();
	}
C
# shellcheck disable=SC2046 # flags are meant to be split
cc -shared -fPIC $("$PG_CONFIG" --cppflags) -I"$("$PG_CONFIG" --includedir-server)" -o "$scratch/eater.so" "$scratch/eater.c"
sql "CREATE FUNCTION eat(integer) RETURNS void AS '$scratch/eater' LANGUAGE C STRICT"

# Starts the server again, with $1 bytes left of the spare memory.
leave_spare()
{
	stop_server fast
	start_server
	sql "SELECT eat(size::integer - $1) FROM pg_shmem_allocations WHERE name IS NULL" >/dev/null
}

taken="SELECT count(*), sum(allocated_size) < 200 FROM pg_shmem_allocations WHERE name LIKE 'engramk%'"
norms="SELECT coalesce(sum(calls), 0) FROM engram_stat_kernels WHERE operation = 'norm'"
leave_spare 2000
sql "SELECT engram_norm(ARRAY[i]::real[]) FROM generate_series(1, 100) AS i" >/dev/null
is "with little memory spare another session sees what the first counted" \
	"$(sql "SELECT scope FROM engram_stat_info"; sql "$norms")" "$(printf '%s\n' cluster 100)"
is "of the spare memory the statistics take next to nothing" "$(sql "$taken")" '1|t'

# The library is loaded in a subtransaction, which ends before the session.
is "loaded in a subtransaction, the statistics outlive it" \
	"$(session <<-SQL
		BEGIN;
		SAVEPOINT s;
		SELECT engram_norm('{3,4}');
		ROLLBACK TO s;
		SELECT engram_norm('{6,8}');
		COMMIT;
		SELECT engram_norm('{9,12}');
		$norms;
		DO 'BEGIN PERFORM engram_norm(NULL), 1 / 0; EXCEPTION WHEN OTHERS THEN NULL; END';
		SELECT scope FROM engram_stat_info;
	SQL
	)" "$(printf '%s\n' 5 10 15 103 cluster)"
is "parallel workers load it for themselves" \
	"$(session <<-SQL
		CREATE TABLE spread AS SELECT ARRAY[i]::real[] AS v FROM generate_series(1, 1000) AS i;
		SET parallel_setup_cost = 0;
		SET parallel_tuple_cost = 0;
		SET min_parallel_table_scan_size = 0;
		SET parallel_leader_participation = off;
		SELECT max(engram_norm(v)) FROM spread;
		$norms;
	SQL
	)" "$(printf '%s\n' 1000 1103)"
is "no segment leaks" "$(grep -ci leak "$data.run/log")" 0

leave_spare 0
is "with none spare a session counts for itself, and answers are right" \
	"$(session <<-SQL
		BEGIN;
		SAVEPOINT s;
		SELECT engram_norm('{3,4}');
		RELEASE s;
		COMMIT;
		SELECT scope FROM engram_stat_info;
		$norms;
	SQL
	)" "$(printf '%s\n' 5 backend 1)"
is "another sees none of it" "$(sql "SELECT scope FROM engram_stat_info"; sql "$norms")" "$(printf '%s\n' backend 0)"
is "the server's log says so" "$(grep -c 'no shared memory for the statistics of engramk' "$data.run/log")" 3

# There is memory for the handle, but no segment can be made.
stop_server fast
echo "dynamic_shared_memory_type = mmap" >>"$data/postgresql.conf"
start_server
chmod 500 "$data/pg_dynshmem"
as_server test -w "$data/pg_dynshmem" || is "without a segment a session counts for itself, and answers are right" \
	"$(session <<-SQL
		BEGIN;
		SAVEPOINT s;
		SELECT engram_norm('{3,4}');
		RELEASE s;
		COMMIT;
		SELECT scope FROM engram_stat_info;
	SQL
	)" "$(printf '%s\n' 5 backend)"
chmod 700 "$data/pg_dynshmem"
is "when it can be made, the next session makes it" "$(sql "SELECT scope FROM engram_stat_info")" cluster
is "still no segment leaks" "$(grep -ci leak "$data.run/log")" 0

# Without a postmaster.
stop_server fast
is "in single-user mode" \
	"$(echo "SELECT scope, engram_norm('{3,4}') FROM engram_stat_info" |
	as_server "$bindir/postgres" --single -D "$data" postgres 2>/dev/null | grep -oE '"(cluster|5)"' | tr '\n' ' ')" '"cluster" "5" '
start_server

# Indexes: as many as there is room for are counted, each; the rest say that
# they are not.
room=$(sed -n 's/^#define EK_STATS_INDEXES[^0-9]*//p' "$top/src/base/stats.h")
tables=$((room / 64 + 1))
sql "DO \$\$
	BEGIN
		FOR t IN 1..$tables LOOP
			EXECUTE format('CREATE TABLE many_%s (k integer, v real[])', t);
			FOR i IN 1..64 LOOP
				EXECUTE format('CREATE INDEX ON many_%s USING engramk (v) WHERE k = %s', t, i);
			END LOOP;
			COMMIT;
		END LOOP;
	END \$\$;
	SELECT engram_stat_reset();
	SET enable_seqscan = off;
	SET enable_sort = off;
	DO \$\$
	BEGIN
		FOR t IN 1..$tables LOOP
			FOR i IN 1..64 LOOP
				EXECUTE format('SELECT FROM many_%s WHERE k = %s ORDER BY v <=> ''{1}'' LIMIT 1', t, i);
			END LOOP;
			COMMIT;
		END LOOP;
	END \$\$" >/dev/null
indexes="SELECT count(scans), sum(scans), count(*) - count(scans) FROM engram_stat_indexes"
is "of $((tables * 64)) indexes $room are counted, and the others are NULL" "$(sql "$indexes")" "$room|$room|64"
is "after a reset there is room again" \
	"$(sql "SELECT engram_stat_reset()" >/dev/null; sql "$indexes")" "$((tables * 64))|0|0"
