-- Vectors that are made up, of sixteen kinds.  Those of an interesting kind are among those
-- that are not, so that something is near and something far.
CREATE FUNCTION vector_of(kind text, i int) RETURNS real[]
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v real[];
    scale float8;
BEGIN
    CASE kind
        WHEN 'all equal' THEN
            RETURN '{1,2,3,0.1,-7}';
        WHEN 'cancelling' THEN      -- differ in the last bit of large sums
            RETURN ARRAY(SELECT (CASE j % 2 WHEN 0 THEN 1 ELSE -1 END * (16777216 + (i + j) % 3))::real FROM generate_series(1, 33) AS j);
        WHEN 'clustered' THEN       -- few directions in many dimensions: a basis is worth it
            RETURN ARRAY(SELECT (sin(j * (i % 11 + 1)) + 0.05 * (random() - 0.5))::real FROM generate_series(1, 256) AS j);
        WHEN 'denormal' THEN
            RETURN ARRAY(SELECT ((floor(random() * 8000000) - 4000000) * 1.401298464324817e-45)::real FROM generate_series(1, 16));
        WHEN 'duplicates' THEN      -- twenty vectors, a hundred times each
            RETURN ARRAY(SELECT sin(i % 20 * j)::real FROM generate_series(1, 24) AS j);
        WHEN 'huge ratios' THEN     -- within a vector
            RETURN ARRAY(SELECT ((random() - 0.5) * 2::float8 ^ floor((random() - 0.5) * 252))::real FROM generate_series(1, 20));
        WHEN 'largest' THEN         -- every sum of squares is beyond real
            RETURN ARRAY(SELECT (sign(random() - 0.5) * 3.4028234e38)::real FROM generate_series(1, 12));
        WHEN 'longer and longer' THEN   -- one direction
            RETURN ARRAY(SELECT (i * j * 0.1)::real FROM generate_series(1, 9) AS j);
        WHEN 'nearly equal' THEN    -- in the last bits of the elements
            RETURN ARRAY(SELECT (1 + (random() * 3)::int * 1.1920929e-07)::real FROM generate_series(1, 40));
        WHEN 'norms' THEN           -- tiny and huge, between vectors
            scale := 2::float8 ^ floor((random() - 0.5) * 240);
            RETURN ARRAY(SELECT ((random() - 0.5) * scale)::real FROM generate_series(1, 30));
        WHEN 'one dimension' THEN
            RETURN ARRAY[((random() - 0.5) * 2::float8 ^ (i % 200 - 100))::real];
        WHEN 'opposite' THEN        -- x and -x
            RETURN ARRAY(SELECT ((i % 2 * 2 - 1) * cos(i / 2 * j))::real FROM generate_series(1, 50) AS j);
        WHEN 'random' THEN
            RETURN ARRAY(SELECT (random() - 0.5)::real FROM generate_series(1, 67));
        WHEN 'sorted' THEN          -- by distance from the first, one way and the other
            RETURN ARRAY[cos(i / 2000.0)::real, sin(i / 2000.0)::real, 0, 0];
        WHEN 'sparse' THEN
            v := array_fill(0::real, ARRAY[300]);
            FOR j IN 1 .. 3 LOOP
                v[1 + floor(random() * 300)] := random();
            END LOOP;
            RETURN v;
        WHEN 'zeros' THEN           -- half of them zero vectors, the rest with minus zeros
            RETURN CASE i % 2 WHEN 0 THEN array_fill(0::real, ARRAY[8])
                ELSE ARRAY['-0', i % 3 - 1, '-0', 0, i % 5 - 2, 0, 0, random()]::real[] END;
    END CASE;
END $$;

CREATE FUNCTION kinds() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY['all equal', 'cancelling', 'clustered', 'denormal', 'duplicates', 'huge ratios', 'largest', 'longer and longer',
        'nearly equal', 'norms', 'one dimension', 'opposite', 'random', 'sorted', 'sparse', 'zeros']
$$;
