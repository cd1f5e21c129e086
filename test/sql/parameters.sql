-- The parameters: their units and ranges, that they can be rolled back, what
-- an overflow of the arena does and how it is counted, and that a level which
-- this machine lacks is refused.
CREATE SCHEMA parameters;
SET search_path = parameters, public;

CREATE FUNCTION outcome(statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    IF statement LIKE 'SELECT%' THEN
        EXECUTE statement INTO result;
        RETURN 'returned ' || coalesce(result, 'NULL');
    END IF;
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;

-- The library is loaded by the first call of one of its functions.
SELECT engram_norm('{3,4}');
SELECT name, vartype, context, unit, min_val, max_val, enumvals, boot_val
FROM pg_settings WHERE name LIKE 'engramk.%' ORDER BY name COLLATE "C";
SELECT name, setting FROM pg_settings WHERE name LIKE 'engramk.%' ORDER BY name COLLATE "C";

-- arena_size: kB, with units, within 64 kB and 1 GB.
SELECT value, outcome(format('SELECT set_config(%L, %L, false)', 'engramk.arena_size', value)), current_setting('engramk.arena_size') AS stays
FROM unnest(ARRAY['64', '64kB', '1MB', '1500', '1.5MB', '1GB', '1048576',
                  '63', '0', '-1', '65535B', '1048577', '1TB', '2mb', '2 parsecs', '', 'on']) WITH ORDINALITY AS v(value, n)
ORDER BY n;
RESET engramk.arena_size;
SELECT outcome('SET engramk.arena_overflow = maybe') AS overflow_maybe, outcome('SET engramk.simd = sse2') AS simd_sse2,
       outcome('SET engramk.simd = scalar') AS simd_scalar;
-- PostgreSQL 14 takes any name with a dot.
SELECT CASE WHEN current_setting('server_version_num')::int < 150000 THEN '42602'
            ELSE outcome('SET engramk.arena_sise = 64') END AS misspelt;

-- Rolled back with the transaction, or with the savepoint.
BEGIN;
SET engramk.arena_size = '64kB';
SET engramk.arena_overflow = error;
SAVEPOINT s;
SET engramk.arena_size = '128kB';
SET engramk.simd = off;
SELECT current_setting('engramk.arena_size') AS size, current_setting('engramk.arena_overflow') AS overflow, current_setting('engramk.simd') AS simd;
ROLLBACK TO s;
SELECT current_setting('engramk.arena_size') AS size, current_setting('engramk.arena_overflow') AS overflow, current_setting('engramk.simd') AS simd;
ROLLBACK;
SELECT current_setting('engramk.arena_size') AS size, current_setting('engramk.arena_overflow') AS overflow, current_setting('engramk.simd') AS simd;

-- The counters.  What was there before is taken off.
CREATE TABLE noted AS SELECT * FROM engram_arena_stats() LIMIT 0;
CREATE FUNCTION note() RETURNS void LANGUAGE sql AS $$
    DELETE FROM noted;
    INSERT INTO noted SELECT * FROM engram_arena_stats();
$$;
CREATE VIEW since AS
SELECT s.resets - n.resets AS resets, s.overflows - n.overflows AS overflows, s.overflow_bytes - n.overflow_bytes AS overflow_bytes
FROM engram_arena_stats() AS s, noted AS n;
CREATE TABLE batch AS
SELECT dims, array(SELECT ((i * 31 + dims) % 17 - 8)::real FROM generate_series(1, dims) AS i) AS query,
       array(SELECT ((i * 37) % 19 - 9)::real FROM generate_series(1, dims * 3) AS i) AS candidates
FROM unnest(ARRAY[3, 10000, 100000]) AS dims;

-- One reset a call, none for an operator, whatever it returns.
SELECT note();
SELECT engram_cosine_batch(query, candidates) = engram_cosine_batch(query, candidates) AS same FROM batch WHERE dims = 3;
SELECT resets, overflows FROM since;
SELECT count(*) FROM batch, engram_topk(query, candidates, 2) WHERE dims = 3;
SELECT resets, overflows FROM since;
SELECT query <=> query AS distance, engram_norm(query) > 0 AS norm FROM batch WHERE dims = 3;
SELECT resets, overflows FROM since;
-- A call that fails before it needs scratch memory does not count; one that
-- fails with it in hand does.
SELECT outcome($$SELECT engram_cosine_batch('{1,2}', '{1}')$$) AS before, outcome($$SELECT engram_cosine_batch('{1,NaN}', '{1,1}')$$) AS after;
SELECT resets, overflows FROM since;

-- An overflow: 10,000 dimensions are 80,000 bytes as doubles.
CREATE TABLE answer AS
SELECT dims, engram_cosine_batch(query, candidates) AS similarities,
       array(SELECT t::text FROM engram_topk(query, candidates, 2) AS t) AS best FROM batch;
SELECT dims, similarities IS NOT DISTINCT FROM
             array(SELECT engram_cosine(query, candidates[(r - 1) * dims + 1 : r * dims]) FROM generate_series(1, 3) AS r) AS as_operator
FROM answer JOIN batch USING (dims) ORDER BY dims;
SET engramk.arena_size = '64kB';
SELECT note();
SELECT dims, engram_cosine_batch(query, candidates) = similarities AS same FROM batch JOIN answer USING (dims) ORDER BY dims;
SELECT resets, overflows, overflow_bytes BETWEEN 880000 AND 881000 AS bytes FROM since;
SELECT dims, array(SELECT t::text FROM engram_topk(query, candidates, 2) AS t) = best AS same FROM batch JOIN answer USING (dims) ORDER BY dims;
SELECT resets, overflows FROM since;
SELECT capacity, high_water >= 800000 AS high_water FROM engram_arena_stats();
SELECT outcome('SELECT engram_cosine_batch(query, candidates || ''NaN''::real || candidates[2:]) FROM batch WHERE dims = 10000') AS error_after_overflow;
SELECT engram_cosine_batch(query, candidates) = similarities AS right_after_error FROM batch JOIN answer USING (dims) WHERE dims = 10000;

-- Or an error, counted too.  What fits is still answered.
SET engramk.arena_overflow = error;
SELECT note();
SELECT engram_cosine_batch(query, candidates) FROM batch WHERE dims = 10000;
SELECT outcome('SELECT engram_cosine_batch(query, candidates) FROM batch WHERE dims = 10000') AS batch,
       outcome('SELECT count(*) FROM batch, engram_topk(query, candidates, 1) WHERE dims = 100000') AS topk;
SELECT engram_cosine_batch(query, candidates) = similarities AS fits FROM batch JOIN answer USING (dims) WHERE dims = 3;
SELECT resets, overflows FROM since;
-- A large k is scratch memory too, but never more than there are candidates.
SELECT outcome($$SELECT count(*) FROM engram_topk('{1}', array_fill(1::real, ARRAY[100000]), 2147483647)$$) AS k_too_large,
       outcome($$SELECT count(*) FROM engram_topk('{1}', array_fill(1::real, ARRAY[100000]), 100)$$) AS k_small,
       outcome($$SELECT count(*) FROM engram_topk('{1}', '{1,2,3}', 2147483647)$$) AS few_candidates;
SET engramk.arena_size = '1MB';
SELECT dims, engram_cosine_batch(query, candidates) = similarities AS same FROM batch JOIN answer USING (dims) ORDER BY dims;
RESET engramk.arena_overflow;

-- The capacity follows arena_size at the next call that needs it.
SET engramk.arena_size = '128kB';
SELECT capacity FROM engram_arena_stats();
SELECT engram_cosine_batch('{1}', '{1}');
SELECT capacity, current_setting('engramk.arena_size') AS size FROM engram_arena_stats();
SELECT sum(total_bytes) BETWEEN 128 * 1024 AND 160 * 1024 AS seen_in_pg_backend_memory_contexts
FROM pg_backend_memory_contexts WHERE name = 'engramk arena';

-- Under an open cursor, which goes on with the new size.
BEGIN;
DECLARE c CURSOR FOR SELECT dims, engram_cosine_batch(query, candidates) = similarities AS same FROM batch JOIN answer USING (dims) ORDER BY dims;
FETCH 1 FROM c;
SET LOCAL engramk.arena_size = '64kB';
FETCH 1 FROM c;
SELECT capacity FROM engram_arena_stats();
SET LOCAL engramk.arena_size = '4MB';
FETCH 1 FROM c;
SELECT capacity FROM engram_arena_stats();
COMMIT;
SELECT engram_cosine_batch('{1}', '{1}');
SELECT capacity FROM engram_arena_stats();
RESET engramk.arena_size;

-- simd: "on" and "off" are always possible, and say so; a level that the
-- machine lacks is refused and nothing changes.
SET engramk.simd = off;
SELECT level, active FROM engram_simd_info() WHERE active;
SET engramk.simd = no;
SHOW engramk.simd;
SET engramk.simd = on;
SELECT count(*) AS levels, count(*) FILTER (WHERE active) AS active, bool_and(supported) FILTER (WHERE active) AS supported,
       bool_and(compiled) FILTER (WHERE supported) AS compiled,
       bool_or(NOT supported) AS some_lacking
FROM engram_simd_info();
-- No machine has both AVX and NEON.
SELECT count(*) > 0 AS some, bool_and(outcome(format('SET engramk.simd = %s', level)) = '0A000') AS refused, current_setting('engramk.simd') AS stays
FROM engram_simd_info() WHERE NOT supported;
SELECT bool_and(outcome(format('SELECT set_config(%L, %L, false)', 'engramk.simd', level)) = 'returned ' || level) AS accepted
FROM (SELECT level FROM engram_simd_info() WHERE supported AND level <> 'scalar' UNION ALL SELECT 'off') AS s;
RESET engramk.simd;
SHOW engramk.simd;

-- An ordinary user sets the arena's parameters, and not the switch: an "off"
-- cannot be undone.
CREATE ROLE regress_engramk_user;
GRANT USAGE ON SCHEMA parameters TO regress_engramk_user;
SET engramk.simd = off;
SET ROLE regress_engramk_user;
SELECT outcome('SET engramk.simd = on') AS set_on, outcome('RESET engramk.simd') AS reset, outcome('SET LOCAL engramk.simd = on') AS set_local,
       outcome('SELECT set_config(''engramk.simd'', ''on'', true)') AS set_config,
       outcome('SET engramk.arena_size = ''1MB''') AS arena_size, outcome('SET engramk.arena_overflow = error') AS arena_overflow;
SELECT current_setting('engramk.simd') AS stays, level, engram_cosine('{1}', '{2}') AS answers FROM engram_simd_info() WHERE active;
RESET ROLE;
RESET engramk.simd;
RESET engramk.arena_size;
RESET engramk.arena_overflow;

SET client_min_messages = warning;
DROP SCHEMA parameters CASCADE;
DROP ROLE regress_engramk_user;
