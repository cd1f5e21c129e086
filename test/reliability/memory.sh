#!/bin/sh
# Protects: where the operating system gives no more memory, a call ends with
# SQLSTATE 53200, the session lives, and its next answer is right.
#
# The server runs under ulimit -v; the calls ask for more than is left.
# shellcheck source=test/reliability/server.sh
. "$(dirname "$0")/server.sh"

limit=${LIMIT_KB:-500000}
make_server memory 'shared_buffers = 16MB' 'max_connections = 20' 'jit = off'
# an absolute path, for the shell of the server's user
as_server sh -c "ulimit -v $limit; exec '$bindir/pg_ctl' -D '$data' -l '$data.run/log' -s -w start"
sql 'CREATE EXTENSION engramk'
right='{0.96,1}'

is "an arena that cannot be had: 53200, then right, then a smaller one" "$(session <<-SQL
	SET engramk.arena_size = '1GB';
	SELECT engram_cosine_batch('{3,4}', '{4,3,3,4}');
	SELECT engram_cosine('{3,4}', '{3,4}');
	SELECT engram_cosine_batch('{3,4}', '{4,3,3,4}');
	SET engramk.arena_size = '1MB';
	SELECT engram_cosine_batch('{3,4}', '{4,3,3,4}');
	SELECT capacity FROM engram_arena_stats();
SQL
)" "$(printf '%s\n' 'ERROR:  53200' 1 'ERROR:  53200' "$right" 1048576)"
is "no memory for an overflow: 53200, then right" "$(session <<-SQL
	SET engramk.arena_size = '64kB';
	SELECT count(*) FROM (SELECT array_fill(0.5::real, ARRAY[16000000]) AS v OFFSET 0) AS s, engram_topk('{1}', v, 16000000);
	SELECT engram_cosine_batch('{3,4}', '{4,3,3,4}');
SQL
)" "$(printf '%s\n' 'ERROR:  53200' "$right")"
is "no memory for the result of a batch: 53200, then right" "$(session <<-SQL
	SELECT cardinality(engram_cosine_batch('{1}', v)) FROM (SELECT array_fill(0.5::real, ARRAY[40000000]) AS v OFFSET 0) AS s;
	SELECT engram_cosine_batch('{3,4}', '{4,3,3,4}');
SQL
)" "$(printf '%s\n' 'ERROR:  53200' "$right")"
is "no memory to prepare a query: 53200, then right" "$(session <<-SQL
	SELECT count(v <=> q) FROM (SELECT array_fill(i::real, ARRAY[20000000]) AS q, array_fill(1::real, ARRAY[20000000]) AS v FROM generate_series(1, 3) AS i OFFSET 0) AS s;
	SELECT engram_cosine_batch('{3,4}', '{4,3,3,4}');
SQL
)" "$(printf '%s\n' 'ERROR:  53200' "$right")"
is "no memory for neighbours: 53200, then right" "$(session <<-SQL
	SELECT cardinality(engram_nearest(i, '{1}', '{1}', 2147483647)) FROM generate_series(1::bigint, 30000000) AS i;
	SELECT engram_nearest(i, ARRAY[i], '{1}', 1, 'l2') FROM generate_series(1::bigint, 3) AS i;
SQL
)" "$(printf '%s\n' 'ERROR:  53200' '{"(1,1,0)"}')"
is "no memory for the neighbours of a join: 53200, then right" "$(session <<-SQL
	SELECT count(*) FROM engram_knn_join('SELECT 1, ''{1}''::real[]', 'SELECT i, ''{1}''::real[] FROM generate_series(1, 30000000) AS i', 2147483647);
	SELECT target_id FROM engram_knn_join('SELECT 1, ''{1}''::real[]', 'SELECT i, ARRAY[i]::real[] FROM generate_series(1, 3) AS i', 1, 'l2');
SQL
)" "$(printf '%s\n' 'ERROR:  53200' 1)"
is "no memory for a sum: 53200, then right" "$(session <<-SQL
	SELECT cardinality(engram_sum(array_fill(1::real, ARRAY[60000000])));
	SELECT engram_sum(ARRAY[i]::real[]) FROM generate_series(1, 3) AS i;
SQL
)" "$(printf '%s\n' 'ERROR:  53200' '{6}')"
is "the server did not crash" "$(grep -c 'terminated by signal' "$data.run/log" || true)" 0
