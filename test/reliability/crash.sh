#!/bin/sh
# Protects: a backend that dies inside a kernel takes nothing with it but what
# PostgreSQL itself takes; statistics start again after it, and say so.
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

new_server crash
sql "CREATE TABLE large AS SELECT array_agg(i::real) AS v FROM generate_series(1, 4000000) AS i"
right="SELECT '{3,4}'::real[] <=> '{4,3}', engram_norm('{3,4}')"
answer=$(sql "$right")

# A session that never leaves the kernels, and its pid when it is in them.
busy_pid()
{
	psql -X -q -c "DO 'BEGIN LOOP PERFORM engram_cosine_batch(v[1:4], v) FROM large; END LOOP; END'" >/dev/null 2>&1 &
	wait_until "SELECT count(*) = 1 FROM engram_stat_backends WHERE state = 'active' AND pid <> pg_backend_pid()"
	sql "SELECT pid FROM engram_stat_backends WHERE state = 'active' AND pid <> pg_backend_pid()"
}

# Kills it, and waits until the server has begun again: until it notices, a new
# session may still get in.
kill_busy()
{
	pid=$(busy_pid)
	kill -9 "$pid"
	wait_until "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid" 2>/dev/null
}

since=$(sql "SELECT extract(epoch FROM stats_reset) FROM engram_stat_info")
sql "SELECT engram_norm('{1}') FROM generate_series(1, 1000)" >/dev/null
kill_busy
is "kill -9: the next session is right" "$(sql "$right")" "$answer"
is "kill -9: statistics begin again" "$(sql "SELECT sum(calls) FROM engram_stat_kernels WHERE operation = 'cosine_batch'")" 0
is "kill -9: and say when" "$(sql "SELECT extract(epoch FROM stats_reset) > $since FROM engram_stat_info")" t

since=$(sql "SELECT extract(epoch FROM stats_reset) FROM engram_stat_info")
busy_pid >/dev/null
stop_server immediate
wait
start_server
is "immediate shutdown: the next session is right" "$(sql "$right")" "$answer"
is "immediate shutdown: statistics begin again and say when" \
	"$(sql "SELECT extract(epoch FROM stats_reset) > $since FROM engram_stat_info")" t

# Preloaded, the block is made before the first session.
stop_server fast
echo "shared_preload_libraries = 'engramk'" >>"$data/postgresql.conf"
start_server
since=$(sql "SELECT extract(epoch FROM stats_reset) FROM engram_stat_info")
kill_busy
is "preloaded, kill -9: the next session is right" "$(sql "$right")" "$answer"
is "preloaded, kill -9: statistics begin again and say when" \
	"$(sql "SELECT extract(epoch FROM stats_reset) > $since AND scope = 'cluster' FROM engram_stat_info")" t

# No slot is left behind by sessions that ended in whichever way.
is "only living sessions are shown" "$(sql "SELECT count(*) FROM engram_stat_get_backends()")" 1
