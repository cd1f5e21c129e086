#!/bin/sh
# A join in slices, of a table with itself: one session, several, and the same join in
# one statement, whose targets are read by parallel workers.  Seconds, in turns.
#
#	bench/bench_slices.sh		(ROWS=100000 DIMS=100 K=10 SESSIONS=2 TURNS=3
#					 ARENA_SIZES="16MB 64MB" SLICE_ROWS="12500 50000" STATEMENT=yes STORAGE=PLAIN)
#
# Of each turn come the seconds of one session, of SESSIONS and of the one statement, for
# every size of the arena and of a slice, and the seconds of CPU that the sessions took in
# all: where something else runs on the machine as well, these say whether the sessions are
# in each other's way.  Then the best of each, and how many times as fast SESSIONS are.
# Vectors are like words (vectors.c).  The build must be up to date.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
ROWS=${ROWS:-100000}
DIMS=${DIMS:-100}
K=${K:-10}
SESSIONS=${SESSIONS:-2}
TURNS=${TURNS:-3}
ARENA_SIZES=${ARENA_SIZES:-16MB 64MB}
SLICE_ROWS=${SLICE_ROWS:-12500 50000}
STATEMENT=${STATEMENT:-yes}
STORAGE=${STORAGE:-PLAIN}
items='SELECT id, embedding FROM items'

query()
{
	psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$@"
}

# seconds COMMAND [ARGUMENT]...
seconds()
{
	begun=$(date +%s%N)
	"$@" >&2
	echo "$(($(date +%s%N) - begun))" | awk '{ printf "%.1f", $1 / 1e9 }'
}

# The session's own time of CPU, in hundredths of a second, is in what the kernel tells of it.
run_slices()
{
	query "CALL engram_knn_join_run('near')" \
		-c "SELECT split_part(s, ' ', 12)::integer + split_part(s, ' ', 13)::integer
			FROM split_part(pg_read_file('/proc/self/stat'), ') ', 2) AS s"
}

in_slices()
{
	for _ in $(seq "$1"); do
		run_slices >>"$cpu" &
	done
	wait
	query "SELECT 1 / (finished = slices)::integer FROM engram_knn_join_progress('near')" >/dev/null
}

# in_slices_of ROWS SESSIONS: seconds, and those of CPU
in_slices_of()
{
	query "SELECT FROM engram_knn_join_create('near', '$items', '$items', $K, slice_rows => $1, exclude_self => true)" >&2
	: >"$cpu"
	echo "$(seconds in_slices "$2") $(awk '{ sum += $1 } END { printf "%.1f", sum / 100 }' "$cpu")"
	query 'DROP TABLE near_slices, near_terms, near'
}

seconds_of_statement()
{
	query 'CREATE TABLE near (query_id bigint, target_id bigint, rank integer, distance double precision)'
	seconds query "SET max_parallel_workers_per_gather = $SESSIONS" \
		-c "INSERT INTO near SELECT * FROM engram_knn_join('$items', '$items', $K, exclude_self => true)"
	query 'DROP TABLE near'
}

# The least of the n-th column of what was printed
best()
{
	awk -v column="$1" 'NR == 1 || $column < least { least = $column } END { print least }' "$figures"
}

if [ "${1:-}" = --in-server ]; then
	figures=$(mktemp)
	cpu=$(mktemp)
	trap 'rm -f "$figures" "$cpu"' EXIT
	query 'CREATE EXTENSION engramk' -c 'CREATE TABLE items (id integer, embedding real[])' \
		-c 'ALTER TABLE items ALTER embedding SET STORAGE '"$STORAGE"
	zcat "$here/../test/data/glove100-10k.tsv.gz" | "$here/results/vectors" "$ROWS" "$DIMS" 1 |
		query '\copy items FROM pstdin (FORMAT binary)'
	query 'ALTER TABLE items ADD PRIMARY KEY (id)' -c 'VACUUM ANALYZE items'
	row='%8s %8s %5s %9s %9s %9s %9s %11s %6s\n'
	echo "$ROWS x $DIMS vectors, k = $K; sessions: 1 and $SESSIONS"
	# shellcheck disable=SC2059 # it is a format
	printf "$row" arena slice turn 1,s 1,CPU "$SESSIONS,s" "$SESSIONS,CPU" statement,s ratio
	for arena in $ARENA_SIZES; do
		PGOPTIONS="-c engramk.arena_size=$arena"
		export PGOPTIONS
		for rows in $SLICE_ROWS; do
			: >"$figures"
			for turn in $(seq "$TURNS"); do
				statement=-
				[ "$STATEMENT" != yes ] || statement=$(seconds_of_statement)
				measured="$(in_slices_of "$rows" 1) $(in_slices_of "$rows" "$SESSIONS") $statement"
				echo "$measured" >>"$figures"
				# shellcheck disable=SC2059,SC2086 # one column each
				printf "$row" "$arena" "$rows" "$turn" $measured ''
			done
			# shellcheck disable=SC2059
			printf "$row" "$arena" "$rows" best "$(best 1)" "$(best 2)" "$(best 3)" "$(best 4)" "$(best 5)" \
				"$(echo "$(best 1) $(best 3)" | awk '{ printf "%.2f", $1 / $2 }')"
		done
	done
	exit
fi

mkdir -p "$here/results"
cc -O2 -o "$here/results/vectors" "$here/vectors.c" -lm
exec "$here/../test/with-cluster.sh" -o shared_buffers="${SHARED_BUFFERS:-2GB}" -o jit=off \
	-o max_parallel_workers_per_gather=0 -o max_wal_size=16GB -o checkpoint_timeout=1h -o autovacuum=off \
	"$here/bench_slices.sh" --in-server
