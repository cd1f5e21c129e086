-- What bench/check.sh times in SQL: each function does one kind of work some
-- times and returns the milliseconds that it took.  The data is made by rule,
-- so both versions work on the same.
CREATE EXTENSION engramk;

CREATE TABLE item (id integer, embedding real[]);
ALTER TABLE item ALTER COLUMN embedding SET STORAGE PLAIN;
INSERT INTO item
SELECT r, array(SELECT (hashint4(r * 1000 + i) / 2147483648.0)::real FROM generate_series(1, 768) AS i)
FROM generate_series(1, 1000) AS r;
VACUUM (FREEZE, ANALYZE) item;
CREATE TABLE many AS SELECT array_agg(embedding ORDER BY id) AS candidates FROM item;
ALTER TABLE many ALTER COLUMN candidates SET STORAGE EXTERNAL;

-- The query is a parameter: it is prepared after its first row.
CREATE FUNCTION turn_operator(times integer) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    query real[] := (SELECT embedding FROM item WHERE id = 1);
    start timestamptz;
BEGIN
    PERFORM max(embedding <=> query) FROM item;
    start := clock_timestamp();
    FOR i IN 1 .. times LOOP
        PERFORM max(embedding <=> query) FROM item;
    END LOOP;
    RETURN 1000 * extract(epoch FROM clock_timestamp() - start);
END $$;

-- Both vectors change with each row: nothing is prepared.
CREATE FUNCTION turn_pairs(times integer) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz;
BEGIN
    PERFORM max(a.embedding <-> a.embedding) FROM item AS a;
    start := clock_timestamp();
    FOR i IN 1 .. times LOOP
        PERFORM max(a.embedding <-> a.embedding) FROM item AS a;
    END LOOP;
    RETURN 1000 * extract(epoch FROM clock_timestamp() - start);
END $$;

CREATE FUNCTION turn_batch(times integer) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    query real[] := (SELECT embedding FROM item WHERE id = 1);
    held real[] := (SELECT candidates FROM many);
    start timestamptz;
BEGIN
    PERFORM engram_cosine_batch(query, held);
    start := clock_timestamp();
    FOR i IN 1 .. times LOOP
        PERFORM engram_cosine_batch(query, held);
    END LOOP;
    RETURN 1000 * extract(epoch FROM clock_timestamp() - start);
END $$;

CREATE FUNCTION turn_topk(times integer) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    query real[] := (SELECT embedding FROM item WHERE id = 1);
    held real[] := (SELECT candidates FROM many);
    start timestamptz;
BEGIN
    PERFORM count(*) FROM engram_topk(query, held, 10);
    start := clock_timestamp();
    FOR i IN 1 .. times LOOP
        PERFORM count(*) FROM engram_topk(query, held, 10);
    END LOOP;
    RETURN 1000 * extract(epoch FROM clock_timestamp() - start);
END $$;
