#!/bin/sh
# Protects: a cancel request or statement_timeout inside a batch is obeyed at
# once, whatever the size of the batch, and the session's next answer is right.
#
#	test/reliability/cancel.sh [CANDIDATES]
#
# Candidates of one dimension, 60,000,000 unless told, which take 720 MB.  An
# array holds 134,217,721 similarities at most, which take 1.6 GB.  Asserted is that
# the request is obeyed before the batch would have ended; how long that took
# is noted.
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

candidates=${1:-60000000}
new_server cancel
# Makes the candidates, says in application_name that the kernels are at work,
# and returns what became of it and the milliseconds since then.
sql "CREATE FUNCTION compute(operation text) RETURNS TABLE (ended text, took float8, at timestamptz)
	-- Generic, or the planner would call an immutable function to see its value.
	LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS \$\$
	DECLARE
		held real[] := array_fill(0.5::real, ARRAY[$candidates]);
		start timestamptz;
	BEGIN
		PERFORM set_config('application_name', 'in the kernels', false);
		start := clock_timestamp();
		ended := 'ended';
		BEGIN
			CASE operation
				WHEN 'cosine_batch' THEN PERFORM engram_cosine_batch('{1}', held);
				WHEN 'topk' THEN PERFORM count(*) FROM engram_topk('{1}', held, 10);
			END CASE;
		EXCEPTION WHEN query_canceled THEN
			ended := 'canceled';
		END;
		at := clock_timestamp();
		took := 1000 * extract(epoch FROM at - start);
		PERFORM set_config('application_name', '', false);
		RETURN NEXT;
	END \$\$;
	CREATE TABLE outcome (operation text, way text, ended text, took float8, obeyed float8)"

for operation in cosine_batch topk; do
	full=$(sql "SELECT took FROM compute('$operation')")
	note "$operation of $candidates candidates: $full ms"

	# The session that is canceled goes on and asks something else.
	psql -X -q -A -t >"$scratch/next" 2>&1 <<-SQL &
		CREATE TEMPORARY TABLE result AS SELECT * FROM compute('$operation');
		SELECT ended FROM result;
		SELECT engram_cosine_batch('{3,4}', '{4,3,3,4}');
		SELECT took < $full FROM result;
		CREATE TABLE canceled_$operation AS SELECT * FROM result;
	SQL
	wait_until "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'in the kernels'"
	sql "CREATE TABLE asked_$operation AS SELECT clock_timestamp() AS at;
		SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'in the kernels'" >/dev/null
	wait
	is "$operation: canceled, the next answer is right, and it did not go on" \
		"$(cat "$scratch/next")" "$(printf '%s\n' canceled '{0.96,1}' t)"
	note "$operation: canceled after $(sql "SELECT round((1000 * extract(epoch FROM c.at - a.at))::numeric, 1) FROM canceled_$operation AS c, asked_$operation AS a") ms, with the request's own way"
done

# statement_timeout counts from the statement's begin, so let it pass before the
# kernels are reached: what is left is canceled at the first look.
is "statement_timeout: canceled, and the next answer is right" "$(session <<-SQL
	PREPARE batch AS SELECT cardinality(engram_cosine_batch('{1}', array_fill(0.5::real, ARRAY[$candidates])));
	SET statement_timeout = 50;
	EXECUTE batch;
	SELECT engram_cosine_batch('{3,4}', '{4,3,3,4}');
SQL
)" "$(printf '%s\n' 'ERROR:  57014' '{0.96,1}')"
