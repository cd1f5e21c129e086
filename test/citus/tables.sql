-- The tables of the tests with Citus: the same rows distributed by id and by tenant,
-- as a reference table, as a local one, and in "plain", which has no index and is
-- what answers are compared with.

-- Near duplicates among them, no two alike
CREATE FUNCTION sample_vector(i bigint) RETURNS real[] LANGUAGE sql IMMUTABLE
RETURN (SELECT array_agg(sin(i * 37 + j * (1 + i % 7))::real ORDER BY j) FROM generate_series(1, 48) AS j);

CREATE TABLE plain (id bigint PRIMARY KEY, tenant_id integer NOT NULL, category text, embedding real[]);
ALTER TABLE plain ALTER embedding SET STATISTICS 0;
INSERT INTO plain
SELECT i, i % 20, (ARRAY['news', 'art', 'code'])[1 + i % 3], CASE WHEN i % 500 > 0 THEN sample_vector(i) END
FROM generate_series(1, 6000) AS i;

CREATE TABLE by_id (LIKE plain INCLUDING ALL);
CREATE TABLE by_tenant (id bigint, tenant_id integer, category text, embedding real[], PRIMARY KEY (tenant_id, id));
CREATE TABLE reference (LIKE plain INCLUDING ALL);
CREATE TABLE local (LIKE plain INCLUDING ALL);
SELECT create_distributed_table('by_id', 'id', shard_count => 6);
SELECT create_distributed_table('by_tenant', 'tenant_id', shard_count => 6, colocate_with => 'none');
SELECT create_reference_table('reference');
SELECT citus_add_local_table_to_metadata('local');

-- Each way to load that there is: rows first, the index first, through INSERT and through COPY
INSERT INTO by_id SELECT * FROM plain;
CREATE INDEX by_id_embedding ON by_id USING engramk (embedding);
CREATE INDEX by_tenant_embedding ON by_tenant USING engramk (embedding, tenant_id, category);
INSERT INTO by_tenant SELECT id, tenant_id, category, embedding FROM plain;
CREATE INDEX reference_embedding ON reference USING engramk (embedding);
INSERT INTO reference SELECT * FROM plain;
INSERT INTO local SELECT * FROM plain;
CREATE INDEX local_embedding ON local USING engramk (embedding);
VACUUM ANALYZE by_id;
VACUUM ANALYZE by_tenant;
VACUUM ANALYZE reference;
VACUUM ANALYZE local;

-- The neighbours of a vector, with the bits of their distances
CREATE FUNCTION neighbours(items regclass, query real[], k integer, operator text, filter text DEFAULT 'true')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format('SELECT string_agg(id || %L || encode(float8send(d), %L), %L ORDER BY d, id)
        FROM (SELECT id, embedding %s $1 AS d FROM %s WHERE %s ORDER BY embedding %4$s $1 LIMIT %7$s) AS x',
        ' ', 'hex', ',', operator, items, filter, k) INTO answer USING query;
    RETURN answer;
END $$;

-- How many of so many queries a table answers in another way than "plain"
CREATE FUNCTION differing(items regclass, queries integer, k integer, filter text DEFAULT 'true')
RETURNS bigint LANGUAGE sql AS $$
SELECT count(*) FROM generate_series(1, queries) AS n, unnest('{<=>,<#>,<->}'::text[]) AS operator
WHERE neighbours(items, sample_vector(n * 13), k, operator, filter)
    IS DISTINCT FROM neighbours('plain', sample_vector(n * 13), k, operator, filter) $$;

CREATE TABLE expected AS
SELECT n, neighbours('plain', sample_vector(n * 13), 10, '<=>') AS nearest,
    neighbours('plain', sample_vector(n * 13), 10, '<=>', 'tenant_id = ' || n % 20) AS of_tenant
FROM generate_series(1, 40) AS n;

-- Raises an error if a table has another answer
CREATE FUNCTION check_answer(query integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    answers text[] := (SELECT ARRAY[nearest, of_tenant, nearest] FROM expected WHERE n = query);
    found text[] := ARRAY[neighbours('by_id', sample_vector(query * 13), 10, '<=>'),
        neighbours('by_tenant', sample_vector(query * 13), 10, '<=>', 'tenant_id = ' || query % 20),
        neighbours('reference', sample_vector(query * 13), 10, '<=>')];
BEGIN
    IF found IS DISTINCT FROM answers THEN
        RAISE 'a wrong answer to query %: % and not %', query, found, answers;
    END IF;
END $$;
