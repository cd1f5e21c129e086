#!/bin/sh
# Protects the promise of engramk.verify_rate: a kernel that gives a wrong bit
# is found out, its result is replaced, and its level is not used again.
#
# Builds a variant in which engramk.inject_fault makes every level but scalar
# lie, and follows the chain from there: best level, next best, scalar.
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

build_variant FAULT_INJECTION=1
new_server fault
levels=$(sql "SELECT string_agg(level, ' ') FROM engram_simd_info() WHERE supported")
liars=${levels% scalar}
if [ "$liars" = "$levels" ]; then
	echo "ok - # SKIP this machine has no level but scalar"
	exit
fi
count=$(echo "$liars" | wc -w)
best=${liars%% *}
note "levels here: $levels"

sql "CREATE TABLE pair AS
	SELECT i, array(SELECT ((i * 31 + j * 7) % 101 - 50)::real FROM generate_series(1, 100) AS j) AS a,
		array(SELECT ((i * 17 + j * 3) % 89 - 44)::real FROM generate_series(1, 100) AS j) AS b
	FROM generate_series(1, 50) AS i;
	CREATE TABLE many AS SELECT array_agg(b ORDER BY i) AS candidates FROM pair;
	-- Results as text, to the last bit.
	CREATE FUNCTION answers(operation text) RETURNS SETOF text LANGUAGE plpgsql AS \$\$
	BEGIN
		RETURN QUERY EXECUTE CASE operation
			WHEN 'cosine' THEN 'SELECT (a <=> b)::text FROM pair ORDER BY i'
			WHEN 'inner_product' THEN 'SELECT (a <#> b)::text FROM pair ORDER BY i'
			WHEN 'l2' THEN 'SELECT (a <-> b)::text FROM pair ORDER BY i'
			WHEN 'l1' THEN 'SELECT (a <+> b)::text FROM pair ORDER BY i'
			WHEN 'norm' THEN 'SELECT engram_norm(a)::text FROM pair ORDER BY i'
			WHEN 'cosine_batch' THEN 'SELECT engram_cosine_batch(a, candidates)::text FROM pair, many ORDER BY i'
			WHEN 'topk' THEN 'SELECT t::text FROM pair, many, engram_topk(a, candidates, 50) AS t ORDER BY i, ordinal'
			WHEN 'cosine_matrix' THEN 'SELECT engram_cosine_matrix(ARRAY[a], ARRAY[b])::text FROM pair ORDER BY i'
			WHEN 'nearest' THEN 'SELECT (SELECT engram_nearest(t.i::bigint, t.b, q.a, 5)::text FROM pair AS t) FROM pair AS q ORDER BY i'
			WHEN 'knn_join' THEN 'SELECT j::text FROM engram_knn_join(''SELECT i::bigint, a FROM pair'', ''SELECT i::bigint, b FROM pair'', 5) AS j ORDER BY query_id, rank'
		END;
	END \$\$;
	CREATE TABLE operation AS SELECT DISTINCT operation FROM engram_stat_kernels;
	SET engramk.simd = off;
	CREATE TABLE truth AS SELECT operation, array(SELECT answers(operation)) AS answers FROM operation;"
operations=$(sql 'SELECT operation FROM operation ORDER BY 1')

# Statements about one operation, in a session whose kernels lie.
liars_session()
{
	psql -X -q -A -t -F ' ' 2>&1 <<-SQL
		SET client_min_messages = error;
		SELECT engram_stat_reset() \g /dev/null
		SET client_min_messages = warning;
		SET engramk.inject_fault = on;
		SET engramk.verify_rate = $1;
		\\set VERBOSITY terse
		SELECT answers = array(SELECT answers('$2')) FROM truth WHERE operation = '$2';
		SELECT string_agg(level, ' ') FROM engram_simd_info() WHERE supported;
		SELECT level FROM engram_simd_info() WHERE active;
		SELECT level FROM engram_stat_backends WHERE pid = pg_backend_pid();
		SELECT divergences, withdrawn FROM engram_stat_verify;
		SELECT answers = array(SELECT answers('$2')) FROM truth WHERE operation = '$2';
		SET engramk.simd = '$best';
		SELECT level FROM engram_simd_info() WHERE active;
	SQL
}

warnings=$(for level in $liars; do
	echo "WARNING:  engramk level \"$level\" gave a wrong result and is withdrawn from this session"
done)
for operation in $operations; do
	is "$operation: without verification the wrong bits are seen" \
		"$(liars_session 0 "$operation")" \
		"$(printf '%s\n' f "$levels" "$best" "$best" '0 0' f "$best")"
	is "$operation: verified, each level is withdrawn with one warning, and results are right" \
		"$(liars_session 1 "$operation")" \
		"$(printf '%s\n' "$warnings" t scalar scalar scalar "$count $count" t scalar)"
done

# Step by step: one call a level, and what was checked.
is "one call withdraws one level, the next best takes over" \
	"$(psql -X -q -A -t 2>&1 <<-SQL
		SET client_min_messages = error;
		SELECT engram_stat_reset() \g /dev/null
		SET engramk.inject_fault = on;
		SET engramk.verify_rate = 1;
		SELECT a <=> b FROM pair WHERE i = 1 \g /dev/null
		SELECT level FROM engram_stat_backends WHERE pid = pg_backend_pid();
		SELECT * FROM engram_stat_verify;
	SQL
	)" "$(sql "SELECT level FROM engram_simd_info() WHERE supported OFFSET 1 LIMIT 1"; echo '1|1|1')"

is "another session is not concerned" \
	"$(sql "SELECT level FROM engram_simd_info() WHERE active")" "$best"

# A share of the calls finds it too, only later: the wrong results before that
# are the price of a rate below 1.
is "at a rate of an eighth the eighth call finds out" \
	"$(psql -X -q -A -t 2>&1 <<-SQL
		SET client_min_messages = error;
		SELECT engram_stat_reset() \g /dev/null
		SET engramk.inject_fault = on;
		SET engramk.verify_rate = 0.125;
		SELECT count(a <=> b) FROM pair WHERE i <= 7;
		SELECT * FROM engram_stat_verify;
		SELECT count(a <=> b) FROM pair WHERE i = 8;
		SELECT * FROM engram_stat_verify;
	SQL
	)" "$(printf '%s\n' 7 '0|0|0' 1 '1|1|1')"

# The warning is in the server's log, once a level and session.
is "the server's log has the warnings" \
	"$(grep -c "WARNING:  engramk level \"$best\" gave a wrong result" "$data.run/log")" \
	"$(($(echo "$operations" | wc -l) + 2))"
is "a default build has no such parameter" \
	"$(nm "$top/engramk.so" | grep -c inject_fault || true)" 0
