-- Twenty rounds of delete half, vacuum, insert half: the index stays within 1.3
-- times its fresh size, and right.  Stops with an error if it does not.
--
--	test/with-cluster.sh psql -X -q -v ON_ERROR_STOP=1 -f test/index/bloat.sql
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS engramk;
CREATE TABLE item (id serial, v real[]) WITH (autovacuum_enabled = off);
INSERT INTO item (v)
SELECT (SELECT array_agg((random() - 0.5)::real) FROM generate_series(1, 64) WHERE i IS NOT NULL) FROM generate_series(1, 20000) AS i;
CREATE INDEX item_v ON item USING engramk (v);
CREATE TABLE fresh AS SELECT pg_relation_size('item_v') AS bytes;

CREATE TABLE removed (v real[]);
CREATE PROCEDURE remove_half(round int) LANGUAGE sql AS $$
    TRUNCATE removed;
    WITH gone AS (DELETE FROM item WHERE hashint4(id + round) % 2 = 0 RETURNING v) INSERT INTO removed SELECT v FROM gone;
$$;
CREATE PROCEDURE insert_half() LANGUAGE sql AS $$
    INSERT INTO item (v) SELECT v FROM removed;
$$;
SELECT format('CALL remove_half(%s)', round), 'VACUUM item', 'CALL insert_half()' FROM generate_series(1, 20) AS round \gexec

CREATE FUNCTION judge() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ratio numeric := pg_relation_size('item_v')::numeric / (SELECT bytes FROM fresh);
    q real[] := (SELECT v FROM item LIMIT 1);
    by_index float8[];
    truth float8[];
BEGIN
    IF (SELECT count(*) FROM item) <> 20000 OR engram_index_check('item_v') <> 20000 THEN
        RAISE 'the index has not as many rows as the table';
    END IF;
    truth := ARRAY(SELECT d FROM (SELECT v <=> q AS d FROM item OFFSET 0) AS x ORDER BY d);
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_sort = off;
    by_index := ARRAY(SELECT v <=> q FROM item ORDER BY v <=> q);
    IF by_index IS DISTINCT FROM truth THEN
        RAISE 'the index gives another answer';
    END IF;
    IF ratio > 1.3 THEN
        RAISE 'the index is % times its fresh size', round(ratio, 2);
    END IF;
    RETURN format('after 20 rounds the index is %s times its fresh size', round(ratio, 2));
END $$;
\t on
SELECT judge();
DROP TABLE item, fresh, removed;
DROP FUNCTION judge;
DROP PROCEDURE remove_half, insert_half;
