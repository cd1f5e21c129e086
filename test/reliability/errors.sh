#!/bin/sh
# Protects: an error caught is an error over.  However many there were, memory
# is what it was before, each was counted once, and the next answer is right.
#
#	test/reliability/errors.sh [ERRORS]		40,000 unless told
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

errors=${1:-40000}
new_server errors
sql "CREATE FUNCTION fail(times integer) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		FOR i IN 1 .. times / 4 LOOP
			BEGIN PERFORM engram_cosine(ARRAY[i, 2]::real[], ARRAY[i]::real[]);
			EXCEPTION WHEN data_exception THEN NULL; END;
			BEGIN PERFORM engram_norm(ARRAY[i, NULL]::real[]);
			EXCEPTION WHEN null_value_not_allowed THEN NULL; END;
			BEGIN PERFORM engram_cosine_batch(ARRAY[i, 1]::real[], '{1,2,NaN,4}');
			EXCEPTION WHEN numeric_value_out_of_range THEN NULL; END;
			BEGIN PERFORM engram_topk(ARRAY[i]::real[], '{1}', 0);
			EXCEPTION WHEN invalid_parameter_value THEN NULL; END;
		END LOOP;
	END \$\$;
	CREATE TABLE memory (place text, bytes bigint)"
note "bytes in all memory contexts before and after: $(psql -X -q -A -t <<-SQL
	SELECT fail(4000) \g /dev/null
	SELECT engram_stat_reset() \g /dev/null
	INSERT INTO memory SELECT 'before', sum(total_bytes) FROM pg_backend_memory_contexts;
	SELECT bytes FROM memory;
	SELECT fail($errors) \g /dev/null
	INSERT INTO memory SELECT 'after', sum(total_bytes) FROM pg_backend_memory_contexts;
	SELECT bytes FROM memory WHERE place = 'after';
	CREATE TABLE next_answer AS SELECT '{3,4}'::real[] <=> '{4,3}' AS distance;
SQL
)"
is "memory is flat: less than 100 kB more" \
	"$(sql "SELECT a.bytes - b.bytes < 100000 FROM memory AS a, memory AS b WHERE a.place = 'after' AND b.place = 'before'")" t
each=$((errors / 4))
is "each error was counted once, by kind" \
	"$(sql "SELECT string_agg(kind || ' ' || errors, ', ') FROM engram_stat_errors")" \
	"dimensions $each, nulls $each, not finite $each, arena 0, other $each"
is "the next answer is right" "$(sql "SELECT distance FROM next_answer")" "$(sql "SELECT '{3,4}'::real[] <=> '{4,3}'")"
