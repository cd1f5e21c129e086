#!/bin/sh
# Protects: configuration reloads under many busy sessions disturb none of
# them: no error, no other answer, and afterwards all compute with the level
# that the file says.
#
#	test/reliability/reload.sh [SESSIONS [SECONDS]]		100 and 8 unless told
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

sessions=${1:-100}
seconds=${2:-8}
new_server reload "max_connections = $((sessions + 20))"
sql "CREATE TABLE item AS SELECT i, array(SELECT ((i * 31 + j * 7) % 101 - 50)::real FROM generate_series(1, 100) AS j) AS v
		FROM generate_series(1, 200) AS i;
	CREATE TABLE truth AS SELECT sum(v <=> (SELECT v FROM item WHERE i = 1)) AS total FROM item"
# Another answer is an error, which pgbench counts and ends the client for.
cat >"$scratch/query.sql" <<'SQL'
SELECT 1 / (sum(v <=> (SELECT v FROM item WHERE i = 1)) = total)::int FROM item, truth GROUP BY total;
SQL
"$bindir/pgbench" -n -M prepared -c "$sessions" -j 2 -T "$seconds" -f "$scratch/query.sql" >"$scratch/pgbench" 2>&1 &
pgbench=$!
wait_until "SELECT count(*) > $((sessions / 2)) FROM engram_stat_get_backends() AS b WHERE pid <> pg_backend_pid()"
best=$(sql "SELECT level FROM engram_simd_info() WHERE active")
reloads=0
while kill -0 "$pgbench" 2>/dev/null; do
	for level in scalar "$best"; do
		value=on
		[ "$level" = "$best" ] || value=off
		psql -X -q -o /dev/null -c "LOAD 'engramk'" -c "ALTER SYSTEM SET engramk.simd = $value" -c 'SELECT pg_reload_conf()'
		calls="SELECT coalesce(sum(calls), 0) FROM engram_stat_kernels WHERE operation = 'cosine' AND level = '$level'"
		before=$(sql "$calls")
		wait_until "SELECT ($calls) > $before OR NOT EXISTS (SELECT FROM engram_stat_backends WHERE pid <> pg_backend_pid())"
		reloads=$((reloads + 1))
	done
done
status=0
wait "$pgbench" || status=$?
is "every session ended well" "$status" 0
is "no transaction failed" "$(sed -n 's/^number of failed transactions: \([0-9]*\).*/\1/p' "$scratch/pgbench")" 0
is "no error in the log" "$(grep -cE '(ERROR|FATAL|PANIC):' "$data.run/log" || true)" 0
is "both levels were at work" \
	"$(sql "SELECT count(*) = least(2, (SELECT count(*) FROM engram_simd_info() WHERE supported))
		FROM (SELECT level FROM engram_stat_kernels WHERE operation = 'cosine' GROUP BY level HAVING sum(calls) > 0) AS l")" t
note "$reloads reloads under $sessions sessions, $(sed -n 's/^number of transactions actually processed: //p' "$scratch/pgbench") transactions"
