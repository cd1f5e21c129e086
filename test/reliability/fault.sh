#!/bin/sh
# Protects the promise of engramk.verify_rate: a kernel that gives a wrong bit
# is found out, its result is replaced, and its level is not used again.
#
# Builds a variant in which engramk.inject_fault makes every level but scalar
# lie, with all of its kernels or one, and follows the chain from there: best
# level, next best, scalar.
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

# the bitcode for JIT is not needed, and takes longest
build_variant FAULT_INJECTION=1 with_llvm=no
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

# Of each operation that can be withdrawn in the middle of a call.
while read -r operation statement; do
	is "$operation: a call counts under the level that it began with" \
		"$(psql -X -q -A -t 2>&1 <<-SQL
			SET client_min_messages = error;
			SELECT engram_stat_reset() \g /dev/null
			SET engramk.inject_fault = on;
			SET engramk.verify_rate = 1;
			SELECT $statement FROM pair WHERE i = 1 \g /dev/null
			SELECT operation, level, calls FROM engram_stat_kernels WHERE calls > 0;
		SQL
		)" "$operation|$best|1"
done <<-STATEMENTS
	cosine a <=> b
	l2 a <-> b
	norm engram_norm(a)
	cosine_batch engram_cosine_batch(a, b)
	topk engram_topk(a, b, 1)
	cosine_matrix engram_cosine_matrix(a, b)
	nearest engram_nearest(i, a, b, 1)
STATEMENTS

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
	"$(($(echo "$operations" | wc -l) + 9))"
# The kernels that codes are made and compared with, one at a time: what they
# give is no result, but a neighbour that their lie hides is lost.  Vectors of a
# few factors, so that an index finds a basis.
sql "SET seed = 0.5;
	CREATE TABLE factor AS SELECT f, array(SELECT random() - 0.5 + f * 0 FROM generate_series(1, 64)) AS direction FROM generate_series(1, 6) AS f;
	CREATE TABLE place AS SELECT i, array(SELECT random() - 0.5 + i * 0 FROM generate_series(1, 6)) AS place FROM generate_series(1, 2000) AS i;
	CREATE TABLE doc AS
	SELECT i AS id, array(SELECT sum(direction[j] * place[f] / f)::real FROM factor, generate_series(1, 64) AS j GROUP BY j ORDER BY j) AS v FROM place;
	CREATE TABLE query AS SELECT * FROM doc WHERE id <= 20;
	CREATE FUNCTION scanned() RETURNS text LANGUAGE sql SET enable_seqscan = off AS
		'SELECT array_agg(array(SELECT d.id FROM doc AS d ORDER BY d.v <=> q.v LIMIT 10)::text ORDER BY q.id)::text FROM query AS q';
	CREATE FUNCTION joined() RETURNS text LANGUAGE sql AS
		\$\$ SELECT array_agg(j.target_id ORDER BY query_id, rank)::text
		FROM engram_knn_join('SELECT i, place[1:3]::real[] FROM place WHERE i <= 100', 'SELECT i, place[1:3]::real[] FROM place', 10) AS j \$\$;
	SET engramk.simd = off;
	CREATE TABLE near AS SELECT scanned(), joined();
	CREATE INDEX doc_v ON doc USING engramk (v);
	ANALYZE doc"
is "the index that is lied about has a basis, and is used" \
	"$(sql "SELECT basis > 0 FROM engram_index_info('doc_v')";
	sql "SELECT scanned() = scanned FROM near"; sql "SELECT sum(scans) FROM engram_stat_indexes")" "$(printf '%s\n' t t 20)"

# Statements whose kernel $2 lies, at the rate $1, and what was withdrawn then.
lying()
{
	psql -X -q -A -t -F ' ' 2>&1 <<-SQL
		SET client_min_messages = error;
		SELECT engram_stat_reset() \g /dev/null
		SET client_min_messages = warning;
		\\set VERBOSITY terse
		SET engramk.verify_rate = $1;
		SET engramk.inject_fault = $2;
		$3;
		SELECT divergences, withdrawn FROM engram_stat_verify;
	SQL
}

# The executor notices a bound above the distance of a row that it gets, but
# not that a row is kept from it.
is "bound_groups: without verification a scan loses neighbours" \
	"$(lying 0 bound_groups "SELECT scanned() = scanned FROM near")" "$(printf '%s\n' f '0 0')"
for kernel in dot_rows code_dot; do
	is "$kernel: without verification a scan fails" \
		"$(lying 0 $kernel "SELECT scanned() = scanned FROM near")" \
		"$(printf '%s\n' 'ERROR:  index returned tuples in wrong order' '0 0')"
done
for kernel in dot_rows code_dot bound_groups; do
	is "$kernel: verified, a scan withdraws each level and loses none" \
		"$(lying 1 $kernel "SELECT scanned() = scanned FROM near")" "$(printf '%s\n' "$warnings" t "$count $count")"
done
for kernel in largest quantize code_dot code_dot_block screen; do
	is "$kernel: without verification a join loses neighbours" \
		"$(lying 0 $kernel "SELECT joined() = joined FROM near")" "$(printf '%s\n' f '0 0')"
	is "$kernel: verified, a join withdraws each level and loses none" \
		"$(lying 1 $kernel "SELECT joined() = joined FROM near")" "$(printf '%s\n' "$warnings" t "$count $count")"
done

# What an honest session makes of the index: its check, and its scans.
honest()
{
	session <<-SQL
		SELECT engram_index_check('doc_v');
		SELECT scanned() = scanned FROM near;
	SQL
}

is "dot_rows: without verification it spoils an index" \
	"$(lying 0 dot_rows "REINDEX INDEX doc_v")" '0 0'
is "dot_rows: the check finds the spoilt index, and so does the executor" \
	"$(honest)" "$(printf '%s\n' 'ERROR:  XX002' 'ERROR:  XX000')"
for kernel in dot_rows dot norm2; do
	is "$kernel: verified, a build withdraws each level" \
		"$(lying 1 $kernel "REINDEX INDEX doc_v")" "$(printf '%s\n' "$warnings" "$count $count")"
	is "$kernel: and its index is right" "$(honest)" "$(printf '%s\n' 2000 t)"
done
is "dot_rows: without verification inserts spoil an index" \
	"$(lying 0 dot_rows "UPDATE doc SET v = v WHERE id <= 40")" '0 0'
is "dot_rows: the check finds them; scans lose neighbours" "$(honest)" "$(printf '%s\n' 'ERROR:  XX002' f)"
sql "REINDEX INDEX doc_v"
is "dot_rows: verified, inserts withdraw each level" \
	"$(lying 1 dot_rows "UPDATE doc SET v = v WHERE id <= 40")" "$(printf '%s\n' "$warnings" "$count $count")"
is "dot_rows: and the index is right" "$(honest)" "$(printf '%s\n' 2000 t)"

is "a default build has no such parameter" \
	"$(nm "$top/engramk.so" | grep -c inject_fault || true)" 0
