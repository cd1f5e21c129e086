#!/bin/sh
# Protects against queries that nobody would write: sqlsmith makes them up from
# the catalog, engramk's functions and operators among them.  No crash, no
# internal error, and of engramk only the documented SQLSTATEs.
#
#	test/reliability/sqlsmith.sh [SECONDS]		600 unless told
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

seconds=${1:-600}
new_server sqlsmith 'statement_timeout = 1s' "log_error_verbosity = verbose" "log_min_error_statement = panic"
sql "CREATE TABLE item AS
	SELECT i::bigint AS i, gen_random_uuid() AS u, array(SELECT sin(i * j)::real FROM generate_series(1, 8) AS j) AS v,
		CASE WHEN i % 10 = 0 THEN NULL WHEN i % 7 = 0 THEN '{NaN,1}'
			ELSE array(SELECT cos(i * j)::real FROM generate_series(1, 8) AS j) END AS w
	FROM generate_series(1, 50) AS i;
	CREATE INDEX item_v ON item USING engramk (v);
	CREATE ROLE smith LOGIN;
	GRANT ALL ON item TO smith"
# A plain user, so that it cannot do by design what would end the server.
timeout "$seconds" sqlsmith --target="host=$PGHOST port=$PGPORT dbname=postgres user=smith" \
	>"$scratch/queries" 2>"$scratch/progress" || true
# What was raised in the library is known by function and file, which log verbosity
# names: PostgreSQL has files called the same.  Functions begin their lines.
(cd "$top" && find src simd -name '*.c' -exec grep -HoE '^[a-z0-9_]+\(' {} +) |
	sed -E 's|^.*/([a-z0-9_]+\.c):(.*)\($|\2, \1|' >"$scratch/ours"
raised()
{
	grep -A4 -E '(ERROR|FATAL|PANIC):  [0-9A-Z]{5}:' "$data.run/log" |
		awk 'FNR == NR { ours[$0] = 1; next }
			/(ERROR|FATAL|PANIC):  / { match($0, /:  [0-9A-Z]+:/); state = substr($0, RSTART + 3, 5) }
			/LOCATION:/ { sub(/.*LOCATION:  /, ""); sub(/:[0-9]+$/, ""); print state, $0 in ours ? "engramk" : "other" }' \
			"$scratch/ours" - |
		sort | uniq -c
}
raised | sed 's/^/# /'
is "it had queries answered" "$(raised | awk '{ n += $1 } END { print (n > 0) }')" 1
is "no backend crashed" "$(grep -cE 'terminated by signal|PANIC' "$data.run/log" || true)" 0
is "no internal error of engramk" "$(raised | grep -c 'XX000 engramk' || true)" 0
is "of engramk only documented SQLSTATEs" \
	"$(raised | grep engramk | grep -cvE ' (22000|2202E|22004|22003|22023|22P03|0A000|42501|42601|42804|42809|53400|54000|55000) ' || true)" 0
is "the next answer is right" "$(sql "SELECT '{3,4}'::real[] <=> '{3,4}'")" 0
note "calls: $(sql "SELECT string_agg(operation || ' ' || calls, ', ') FROM (SELECT operation, sum(calls) AS calls FROM engram_stat_kernels GROUP BY 1) AS s"); errors: $(sql "SELECT string_agg(kind || ' ' || errors, ', ') FROM engram_stat_errors")"
