#!/bin/bash
#
# bench_sql.sh RESULTS
#		How long do queries take, in a throwaway server?
#
# Installs the extension into a temporary directory, starts a server of its
# own (test/with-cluster.sh; the build must be up to date) and measures
# - the nearest 10 of ROWS random vectors of DIMS dimensions by <=>, for each
#   storage mode of the column and with engramk.simd on, at each lower level,
#   and off; beside pgvector's <=> on a vector column of the same storage mode;
#   once with the table's blocks in order in shared_buffers, as after a start,
#   and once scattered, as in a server that has been running for a while (this
#   decides whether what lies behind a row in memory is the next row);
# - a cosine by unnest, as real[] users write it without an extension, beside
#   engram_cosine, engram_cosine_batch and engram_topk.
#
# One session, no parallel workers, no JIT, everything in shared_buffers.  The
# contestants take turns in every round; medians are reported beside the best.
# Times are psql's, so they include the round trip, which is listed too.
#
# In the environment:
#   ROWS (100000; at least 1000), DIMS (768), ROUNDS (9), SHARED_BUFFERS (1GB)
#   STORAGE ("PLAIN EXTENDED EXTERNAL MAIN"), LAYOUTS ("in-order scattered")
#   PG_CONFIG (pg_config)
#   EXTENSION_DESTDIRS: directories that other extensions were installed into
#       with "make install DESTDIR=..."; pgvector is found there or in the
#       server's own directory.
#
# RESULTS gets one line a contestant, separated by tabs.

set -euo pipefail

ROWS=${ROWS:-100000}
DIMS=${DIMS:-768}
ROUNDS=${ROUNDS:-9}
STORAGE=${STORAGE:-PLAIN EXTENDED EXTERNAL MAIN}
LAYOUTS=${LAYOUTS:-in-order scattered}
SHARED_BUFFERS=${SHARED_BUFFERS:-1GB}
PG_CONFIG=${PG_CONFIG:-pg_config}
EXTENSION_DESTDIRS=${EXTENSION_DESTDIRS:-}
export ROWS DIMS ROUNDS STORAGE LAYOUTS EXTENSION_DESTDIRS

# Few enough for unnest to end soon, enough to dwarf the round trip.
CANDIDATES=1000
HELD_QUERIES=100
if [ "$ROWS" -lt "$CANDIDATES" ]; then
	echo "$0: ROWS must be at least $CANDIDATES" >&2
	exit 1
fi

# ---- outside the server: install, start, call this script again ----

start_server()
{
	: >"$1"
	"$(dirname "$0")/../test/with-cluster.sh" -o shared_buffers="$SHARED_BUFFERS" \
		-o fsync=off -o autovacuum=off -o max_wal_size=16GB \
		-o max_parallel_workers_per_gather=0 -o jit=off \
		-o synchronize_seqscans=off -o plan_cache_mode=force_custom_plan \
		-o work_mem=256MB \
		"$0" --in-server "$1"
}

# ---- inside: helpers ----

run_sql()
{
	psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

# A contestant is a name, what to set before and the query to time.
names=()
settings=()
queries=()

add_contestant()
{
	names+=("$1")
	settings+=("$2")
	queries+=("$3")
}

# The levels below the best, which is what "on" chooses; none is called scalar.
lower_levels()
{
	run_sql -c "SELECT level FROM engram_simd_info()
		WHERE supported AND level <> 'scalar' OFFSET 1"
}

# Prints a script for psql: the preparations in $1, then the rounds, of which
# the first is not timed.  Queries write to /dev/null, names and times do not.
session_script()
{
	local round i

	printf '%s\n' "$1"
	echo '\o /dev/null'
	for ((round = 0; round <= ROUNDS; round++)); do
		for i in "${!names[@]}"; do
			printf '%s;\n' "${settings[i]}"
			((round > 0)) && printf '\\echo @%s\n\\timing on\n' "${names[i]}"
			printf '%s;\n\\timing off\n' "${queries[i]}"
		done
	done
}

# From names and times to: group (two columns), contestant, median, best, in
# milliseconds.
# Contestants come out in their own order.
median_and_best()
{
	awk -v group="$1	$2" '
		/^@/ { name = substr($0, 2); if (!(name in n)) order[++names] = name; next }
		/^Time:/ { times[name, ++n[name]] = $2 }
		END {
			for (i = 1; i <= names; i++) {
				name = order[i]; count = n[name]
				for (a = 2; a <= count; a++) {
					t = times[name, a]
					for (b = a - 1; b > 0 && times[name, b] + 0 > t + 0; b--)
						times[name, b + 1] = times[name, b]
					times[name, b + 1] = t
				}
				middle = (times[name, int((count + 1) / 2)] + times[name, int(count / 2) + 1]) / 2
				printf "%s\t%s\t%.3f\t%.3f\n", group, name, middle, times[name, 1]
			}
		}'
}

# ---- inside: the nearest 10 ----

make_vectors()
{
	run_sql <<-SQL
		CREATE EXTENSION engramk;
		CREATE EXTENSION pg_prewarm;
		SELECT setseed(0.5);
		CREATE UNLOGGED TABLE vectors (id integer, embedding real[]);
		ALTER TABLE vectors ALTER COLUMN embedding SET STORAGE PLAIN;
		INSERT INTO vectors
			SELECT id, array_agg((random() - 0.5)::real)
			FROM generate_series(1, $ROWS) AS id, generate_series(1, $DIMS)
			GROUP BY id ORDER BY id;
		VACUUM (FREEZE, ANALYZE) vectors;
		CREATE UNLOGGED TABLE query AS
			SELECT array_agg((random() - 0.5)::real) AS embedding
			FROM generate_series(1, $DIMS);
	SQL
}

# Copies the vectors into a column of the given type and storage mode.
make_table()
{
	local name=$1 type=$2 storage=$3

	run_sql <<-SQL
		CREATE UNLOGGED TABLE $name (id integer, embedding $type);
		ALTER TABLE $name ALTER COLUMN embedding SET STORAGE $storage;
		INSERT INTO $name SELECT id, embedding::$type FROM vectors ORDER BY id;
		VACUUM (FREEZE, ANALYZE) $name;
	SQL
}

# Buffers that were never used are taken one after the other, so a server that
# just started lays a table out in the order in which it is read.
restart_server()
{
	local data restart

	run_sql -c CHECKPOINT
	data=$(run_sql -c 'SHOW data_directory')
	restart=(pg_ctl -D "$data" -m fast -s -w restart)
	if [ "$(id -u)" -eq 0 ]; then
		restart=(runuser -u "$(stat -c %U "$data")" -- "${restart[@]}")
	fi
	# it keeps what it inherits, and whoever waits for our output would wait
	(cd / && "${restart[@]}" >/dev/null 2>&1 </dev/null)
}

# Reads a table, what was moved out of line, and the index of that, block by
# block into shared_buffers.
load_table()
{
	local name=$1 order='relation, block'

	[ "$2" = scattered ] && order='random()'
	run_sql >/dev/null <<-SQL
		WITH owner AS (SELECT oid, reltoastrelid FROM pg_class WHERE oid = '$name'::regclass),
		relations (relation) AS (
			SELECT oid FROM owner
			UNION ALL SELECT reltoastrelid FROM owner WHERE reltoastrelid <> 0
			UNION ALL SELECT indexrelid FROM pg_index, owner WHERE indrelid = reltoastrelid),
		blocks AS MATERIALIZED (
			SELECT relation, block FROM relations,
				generate_series(0, pg_relation_size(relation)
					/ current_setting('block_size')::integer - 1) AS block
			ORDER BY $order)
		SELECT count(pg_prewarm(relation, 'buffer', 'main', block, block)) FROM blocks;
	SQL
}

# The first of the two may read the catalogs.
warn_if_not_in_memory()
{
	local table=$1 explain

	explain="EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id FROM $table
		ORDER BY embedding <=> (SELECT embedding FROM query)::$2 LIMIT 10"
	run_sql -c "$explain" >/dev/null
	if run_sql -c "$explain" | grep -q 'shared.* read='; then
		echo "note: $table is not all in shared_buffers; set SHARED_BUFFERS" >&2
	fi
}

# The promise that an off switch rests on: the same rows, the same distances.
require_same_answers()
{
	local first='' answer level

	for level in on off $(lower_levels); do
		answer=$(run_sql -c "SET engramk.simd = $level" \
			-c "SELECT id, embedding <=> (SELECT embedding FROM query) AS distance
				FROM items ORDER BY distance, id LIMIT 10")
		if [ "$answer" != "${first:=$answer}" ]; then
			echo "engramk.simd = $level gives another answer" >&2
			exit 1
		fi
	done
}

nearest="SELECT id FROM items ORDER BY embedding <=> \$1 LIMIT 10"

# The contestants of a scan, but for pgvector.
add_engramk()
{
	local level

	names=() settings=() queries=()
	for level in on $(lower_levels) off; do
		add_contestant "engramk, simd $level" "SET engramk.simd = $level" \
			"EXECUTE nearest(:'query')"
	done
	add_contestant 'engramk, query from a sub-select' 'SET engramk.simd = on' \
		'SELECT id FROM items ORDER BY embedding <=> (SELECT embedding FROM query) LIMIT 10'
	add_contestant 'scan without a distance' 'SET engramk.simd = on' \
		'SELECT id FROM items ORDER BY id DESC LIMIT 10'
}

measure_layout()
{
	local storage=$1 layout=$2 preparations

	restart_server
	load_table items "$layout"
	[ "$pgvector" ] && load_table items_pgvector "$layout"
	warn_if_not_in_memory items 'real[]'

	add_engramk
	preparations="SELECT embedding AS query FROM query \\gset
		PREPARE nearest(real[]) AS $nearest;"
	if [ "$pgvector" ]; then
		warn_if_not_in_memory items_pgvector 'real[]::vector'
		preparations+="
			PREPARE nearest_pgvector(vector) AS ${nearest/items/items_pgvector};"
		add_contestant 'pgvector' 'SET engramk.simd = on' \
			"EXECUTE nearest_pgvector(:'query'::real[]::vector)"
	fi
	session_script "$preparations" | run_sql |
		median_and_best "$storage" "$layout" >>"$results"
}

measure_storage()
{
	local storage=$1 layout

	make_table items 'real[]' "$storage"
	[ "$pgvector" ] && make_table items_pgvector "vector($DIMS)" "$storage"
	require_same_answers
	for layout in $LAYOUTS; do
		measure_layout "$storage" "$layout"
	done
	run_sql -c 'DROP TABLE items' ${pgvector:+-c 'DROP TABLE items_pgvector'}
}

# ---- inside: many candidates for one query ----

# Each contestant compares with CANDIDATES vectors, but for the one that says
# how many queries it asks of an array that it made once.
measure_candidates()
{
	local some="(SELECT embedding FROM vectors WHERE id <= $CANDIDATES ORDER BY id) AS s"

	run_sql <<-SQL
		CREATE UNLOGGED TABLE candidates (all_of_them real[]);
		ALTER TABLE candidates ALTER COLUMN all_of_them SET STORAGE EXTERNAL;
		INSERT INTO candidates SELECT array_agg(embedding) FROM $some;
		CREATE INDEX ON vectors (id);
		ANALYZE vectors;
	SQL
	names=() settings=() queries=()
	add_contestant 'round trip' 'SET engramk.simd = on' "SELECT :'query'::real[]"
	add_contestant 'unnest' 'SET engramk.simd = on' \
		"SELECT max((SELECT sum(x * y) / (sqrt(sum(x * x)) * sqrt(sum(y * y)))
			FROM unnest(s.embedding, :'query'::real[]) AS pairs (x, y))) FROM $some"
	add_contestant 'engram_cosine' 'SET engramk.simd = on' \
		"SELECT max(engram_cosine(s.embedding, :'query')) FROM $some"
	add_contestant 'engram_cosine_batch, stored array' 'SET engramk.simd = on' \
		"SELECT (engram_cosine_batch(:'query', all_of_them))[1] FROM candidates"
	add_contestant 'engram_topk, stored array' 'SET engramk.simd = on' \
		"SELECT t.* FROM candidates, engram_topk(:'query', all_of_them, 10) AS t"
	add_contestant 'engram_topk, array_agg' 'SET engramk.simd = on' \
		"SELECT t.* FROM (SELECT array_agg(embedding) AS all_of_them FROM $some) AS c,
			engram_topk(:'query', all_of_them, 10) AS t"
	add_contestant "engram_cosine_batch, $HELD_QUERIES queries" 'SET engramk.simd = on' \
		"WITH held AS MATERIALIZED (SELECT array_agg(embedding) AS all_of_them FROM $some)
		SELECT max((engram_cosine_batch(q.embedding, all_of_them))[1])
		FROM held, (SELECT embedding FROM vectors WHERE id <= $HELD_QUERIES) AS q"
	session_script 'SELECT embedding AS query FROM query \gset' |
		run_sql | median_and_best candidates - >>"$results"
}

# ---- inside: the report ----

print_nearest()
{
	printf '\nThe nearest 10 of %s vectors of %s dimensions, ms: median (best)\n' "$ROWS" "$DIMS"
	awk -F'\t' '
		$1 == "candidates" { next }
		{ median[$1, $2, $3] = $4 }
		{ line[++n] = $0 }
		END {
			printf "%-9s %-10s %-32s %9s %11s %10s\n", "storage", "blocks", "", "median", "best", "/pgvector"
			for (i = 1; i <= n; i++) {
				split(line[i], f, "\t")
				other = median[f[1], f[2], "pgvector"]
				ratio = other ? sprintf("%.2f", f[4] / other) : "-"
				printf "%-9s %-10s %-32s %9.1f (%9.1f) %10s\n", f[1], f[2], f[3], f[4], f[5], ratio
			}
		}' "$results"
}

print_candidates()
{
	printf '\nOne query and %s candidates of %s dimensions\n' "$CANDIDATES" "$DIMS"
	awk -F'\t' -v candidates="$CANDIDATES" -v held="$HELD_QUERIES" '
		$1 != "candidates" { next }
		$3 == "unnest" { slow = $4 / candidates }
		{ line[++n] = $0 }
		END {
			printf "%-37s %10s %12s %12s %10s\n", "", "median ms", "best", "us a pair", "unnest/"
			for (i = 1; i <= n; i++) {
				split(line[i], f, "\t")
				pairs = candidates * (f[3] ~ / queries$/ ? held : 1)
				if (f[3] == "round trip")
					printf "%-37s %10.2f (%10.2f)\n", f[3], f[4], f[5]
				else
					printf "%-37s %10.2f (%10.2f) %12.3f %10.0f\n", f[3], f[4], f[5], 1000 * f[4] / pairs, slow / (f[4] / pairs)
			}
		}' "$results"
}

print_server()
{
	run_sql -F ' ' -c "SELECT split_part(version(), ' (', 1) || ','" \
		-c "SELECT name || ' ' || current_setting(name) || ',' FROM pg_settings
			WHERE name IN ('shared_buffers', 'huge_pages', 'jit')" \
		-c "SELECT extname || ' ' || extversion || ',' FROM pg_extension
			WHERE extname IN ('engramk', 'vector')" \
		-c "SELECT 'best level ' || level || ',' FROM engram_simd_info() WHERE active" | tr '\n' ' '
	printf 'load %s, %s rounds\n' "$(cut -d' ' -f1 /proc/loadavg)" "$ROUNDS"
}

in_server()
{
	results=$1
	pgvector=yes
	make_vectors
	if ! run_sql -c 'CREATE EXTENSION vector' 2>"$results.log"; then
		pgvector=
		printf 'without pgvector: %s\n' "$(grep -m 1 ERROR "$results.log")"
	fi
	rm -f "$results.log"
	print_server
	for storage in $STORAGE; do
		measure_storage "$storage"
	done
	print_nearest
	measure_candidates
	print_candidates
}

if [ "${1:-}" = --in-server ]; then
	in_server "$2"
elif [ $# -eq 1 ]; then
	start_server "$(realpath -m "$1")"
else
	echo "usage: $0 RESULTS" >&2
	exit 1
fi
