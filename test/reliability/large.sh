#!/bin/sh
# Protects: what exceeds the limits of PostgreSQL, an array or a value of 1 GB,
# gets an error that names it, and the session goes on.  Takes gigabytes of
# memory and a minute or two.
# shellcheck source=test/reliability/server.sh
. "$(dirname "$0")/server.sh"

# no worker is needed for a plan to be parallel
new_server large 'jit = off' 'max_parallel_workers = 0' 'min_parallel_table_scan_size = 0' \
	'parallel_setup_cost = 0' 'client_min_messages = error'
sql "CREATE TABLE number WITH (parallel_workers = 1) AS SELECT generate_series(1::bigint, 10000) AS id;
	ANALYZE number"

# What became of one statement, and the next answer of that session.
outcome()
{
	printf '%s;\n%s;\n' "$1" "SELECT engram_cosine_batch('{3,4}', '{4,3,3,4}')" |
		psql -X -q -A -t -v VERBOSITY=verbose 2>&1 | grep -v '^LOCATION:'
}
right='{0.96,1}'

is "more neighbours than an array holds" "$(outcome "
	SELECT cardinality(engram_nearest(i, ARRAY[i]::real[], (SELECT array_agg(ARRAY[j]::real[]) FROM generate_series(1, 23000) AS j), 1000, 'l2'))
	FROM generate_series(1::bigint, 1000) AS i")" \
	"$(printf '%s\n' 'ERROR:  54000: an array cannot hold 23000000 neighbours' "$right")"
is "as many of very many short queries" "$(outcome "
	SELECT cardinality(engram_nearest(1::bigint, '{1}'::real[], array_fill(1::real, ARRAY[46000000, 1]), 1))")" \
	"$(printf '%s\n' 'ERROR:  54000: an array cannot hold 46000000 neighbours' "$right")"
is "a state that cannot be passed between processes" "$(outcome "
	SELECT cardinality(engram_sum(array_fill(id::real, ARRAY[134217720]))) FROM number WHERE id % 10000 = 1")" \
	"$(printf '%s\n' 'ERROR:  54000: state of engram_sum cannot be passed between processes, since it takes 1073741772 bytes' \
		'HINT:  Set "max_parallel_workers_per_gather" to 0 for this query.' "$right")"
is "the same vector without workers" "$(outcome "
	SET max_parallel_workers_per_gather = 0; SELECT cardinality(engram_sum(array_fill(id::real, ARRAY[134217720]))) FROM number WHERE id % 10000 = 1")" \
	"$(printf '%s\n' 134217720 "$right")"
