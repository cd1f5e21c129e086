#!/bin/sh
# Rows are inserted, updated, deleted and vacuumed by pgbench while others ask
# the index and a sequential scan, in one statement, and compare: in READ
# COMMITTED, and over several statements in REPEATABLE READ.  Meanwhile
# engram_index_check must find nothing, and as many entries as rows.
#
#	test/with-cluster.sh test/index/churn.sh [SECONDS]
#
# libpq's variables say where the server is.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
seconds=${1:-15}
scratch=$(mktemp -d /tmp/engramk.churn.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
PGOPTIONS="-c client_min_messages=warning"
export PGOPTIONS

sql()
{
	psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

sql -c "CREATE EXTENSION IF NOT EXISTS engramk" -f "$here/vector_type.sql" -f "$here/compare.sql"
sql <<'SQL'
CREATE TABLE item (id serial PRIMARY KEY, v real[], note int) WITH (autovacuum_enabled = off, fillfactor = 70);
INSERT INTO item (v) SELECT sample_vector(i) FROM generate_series(1, 4000) AS i;
CREATE INDEX item_v ON item USING engramk (v);
SQL

cat >"$scratch/write.sql" <<'SQL'
\set a random(1, 1000000)
\set b random(1, 1000000)
\set c random(1, 1000000)
\set many random(1, 40)
INSERT INTO item (v) SELECT sample_vector(:a + i) FROM generate_series(1, :many) AS i;
UPDATE item SET v = sample_vector(:b) WHERE id = (SELECT id FROM item OFFSET :b % 3000 LIMIT 1 FOR UPDATE SKIP LOCKED);
DELETE FROM item WHERE ctid = ANY (ARRAY(SELECT ctid FROM item OFFSET :c % 3000 LIMIT :many FOR UPDATE SKIP LOCKED));
BEGIN;
INSERT INTO item (v) SELECT sample_vector(:c + i) FROM generate_series(1, 5) AS i;
UPDATE item SET v = sample_vector(:a) WHERE ctid = ANY (ARRAY(SELECT ctid FROM item OFFSET :a % 3000 LIMIT 3 FOR UPDATE SKIP LOCKED));
ROLLBACK;
SQL
echo "VACUUM item;" >"$scratch/vacuum.sql"
cat >"$scratch/committed.sql" <<'SQL'
\set query random(1, 100000)
\set k random(1, 300)
SELECT must_be_equal('item', :query, :k);
SELECT must_be_equal('item', :query, 3);
SQL
cat >"$scratch/repeatable.sql" <<'SQL'
\set query random(1, 100000)
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT must_be_equal('item', :query, 50);
SELECT must_be_equal('item', :query + 1, 100000);
SET LOCAL engramk.arena_size = '64kB';
SELECT must_be_equal('item', :query, 100000);
COMMIT;
SQL
# HOT updates besides, and a table whose pages are pruned
cat >"$scratch/hot.sql" <<'SQL'
\set a random(1, 1000000)
UPDATE item SET note = :a WHERE ctid = ANY (ARRAY(SELECT ctid FROM item OFFSET :a % 3000 LIMIT 20 FOR UPDATE SKIP LOCKED));
SQL
cat >"$scratch/check.sql" <<'SQL'
SELECT engram_index_check('item_v');
BEGIN ISOLATION LEVEL REPEATABLE READ;
DO $$
BEGIN
    IF engram_index_check('item_v') <> (SELECT count(*) FROM item) THEN
        RAISE 'the check has not seen as many entries as there are rows';
    END IF;
END $$;
COMMIT;
SQL

run()
{
	name=$1
	shift
	pgbench -n -T "$seconds" -f "$scratch/$name.sql" "$@" >"$scratch/$name.out" 2>&1 || {
		cat "$scratch/$name.out"
		touch "$scratch/failed"
	}
}
run write -c 2 &
run vacuum -c 1 &
run committed -c 2 &
run repeatable -c 1 &
run hot -c 1 &
run check -c 2 &
wait
[ ! -e "$scratch/failed" ] || exit 1

sql <<'SQL'
DO $$ BEGIN PERFORM must_be_equal('item', q, 1000000) FROM generate_series(1, 20) AS q; END $$;
DO $$
BEGIN
    IF engram_index_check('item_v') <> (SELECT count(*) FROM item) THEN
        RAISE 'the index has not as many rows as the table';
    END IF;
END $$;
VACUUM item;
DO $$ BEGIN PERFORM must_be_equal('item', q, 1000000) FROM generate_series(1, 20) AS q; END $$;
SQL
transactions()
{
	sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$scratch/$1.out"
}
echo "$(transactions committed) + $(transactions repeatable) comparisons found no difference beside" \
	"$(transactions write) writing transactions and $(transactions vacuum) vacuums;" \
	"$(transactions check) times two checks found nothing"
sql -c "DROP TABLE item" -c "DROP FUNCTION sample_vector, compare, must_be_equal"
