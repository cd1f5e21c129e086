#!/bin/sh
# Protects: engramk.arena_size can be anything within its limits at any moment,
# and no answer depends on it.
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

new_server arena
sql "CREATE TABLE item AS SELECT i, array(SELECT ((i * 31 + j * 7) % 101 - 50)::real FROM generate_series(1, 64) AS j) AS v
		FROM generate_series(1, 5000) AS i;
	CREATE TABLE many AS SELECT array_agg(v ORDER BY i) AS candidates FROM item;
	CREATE VIEW answer AS SELECT md5(string_agg(engram_cosine_batch(v, candidates)::text ||
		array(SELECT t::text FROM engram_topk(v, candidates, 5000) AS t)::text, '' ORDER BY i)) FROM item, many WHERE i <= 2"
answer=$(sql 'SELECT * FROM answer')

is "the smallest, 64 kB: the same answer, with overflows" "$(session <<-SQL
	SET engramk.arena_size = '64kB';
	SELECT * FROM answer;
	SELECT overflows > 0 FROM engram_arena_stats();
SQL
)" "$(printf '%s\n' "$answer" t)"
is "the largest, 1 GB: the same answer; memory is taken up by the page, not at once" "$(session <<-SQL
	SET engramk.arena_size = '1GB';
	SELECT * FROM answer;
	SELECT capacity, overflows FROM engram_arena_stats();
	SELECT substring(pg_read_file('/proc/' || pg_backend_pid() || '/status') FROM 'VmRSS:\s*(\d+)')::int < 200000;
SQL
)" "$(printf '%s\n' "$answer" '1073741824|0' t)"
for size in 63kB 0 -1 1025MB 1TB 2mb; do
	is "$size is refused, and nothing changes" "$(session <<-SQL
		SELECT engram_norm('{1}');
		SET engramk.arena_size = '$size';
		SHOW engramk.arena_size;
	SQL
	)" "$(printf '%s\n' 1 'ERROR:  22023' 2MB)"
done
is "in a transaction that is rolled back: what was set before is back" "$(session <<-SQL
	SET engramk.arena_size = '1MB';
	SELECT * FROM answer;
	BEGIN;
	SET engramk.arena_size = '64kB';
	SELECT * FROM answer;
	ROLLBACK;
	SELECT * FROM answer;
	SELECT capacity FROM engram_arena_stats();
SQL
)" "$(printf '%s\n' "$answer" "$answer" "$answer" 1048576)"
# A function of a set returns its rows from memory of its own, not the arena.
is "under an open cursor: it goes on where it was" "$(session <<-SQL
	BEGIN;
	DECLARE c CURSOR FOR SELECT t.ordinal FROM many, item, engram_topk(v, candidates, 5000) AS t WHERE i = 7;
	CREATE TEMPORARY TABLE expected AS SELECT t.ordinal FROM many, item, engram_topk(v, candidates, 5000) AS t WHERE i = 7;
	FETCH 1 FROM c;
	SET engramk.arena_size = '64kB';
	SELECT * FROM answer;
	FETCH 1 FROM c;
	SET engramk.arena_size = '16MB';
	SELECT * FROM answer;
	FETCH 1 FROM c;
	COMMIT;
SQL
)" "$(sql "SELECT t.ordinal FROM many, item, engram_topk(v, candidates, 3) AS t WHERE i = 7" |
	awk -v answer="$answer" '{ print; if (NR < 3) print answer }')"
is "an error leaves the arena sound" "$(session <<-SQL
	SELECT engram_cosine_batch('{1,2}', '{1,NaN}');
	SELECT * FROM answer;
SQL
)" "$(printf '%s\n' 'ERROR:  22003' "$answer")"
