-- The nearest ten of one table and of several servers, by turns: medians, and whether all
-- give the same.  See bench_servers.sh for the variables.

SELECT format('CREATE FUNCTION fan_out(q real[]) RETURNS bigint[] LANGUAGE sql AS $f$
    SELECT array_agg(id) FROM engram_fan_out(%L, %L, ARRAY[q::text], 10) $f$', :'servers',
    'SELECT id, embedding <=> $1 FROM items ORDER BY embedding <=> $1, id LIMIT 10') \gexec
SELECT format('CREATE FUNCTION by_union(q real[]) RETURNS bigint[] LANGUAGE plpgsql AS $f$
BEGIN
    RETURN ARRAY(SELECT id FROM (%s OFFSET 0) AS n ORDER BY distance, id LIMIT 10);
END $f$', string_agg(format('(SELECT id, embedding <=> q AS distance FROM items_%s ORDER BY embedding <=> q, id LIMIT 10)', n), ' UNION ALL '))
FROM generate_series(1, :server_count) AS n \gexec
-- with the settings that docs/many-machines.md has for it
SELECT format('CREATE SERVER %1$I FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %2$L, port %3$L, extensions ''engramk'',
        fetch_size ''10'', options ''-c cursor_tuple_fraction=0.0001'')', 'p' || srvname,
    split_part((array_agg(o) FILTER (WHERE o LIKE 'host=%'))[1], '=', 2), split_part((array_agg(o) FILTER (WHERE o LIKE 'port=%'))[1], '=', 2))
FROM pg_foreign_server, unnest(srvoptions) AS o GROUP BY srvname \gexec
SELECT format('CREATE USER MAPPING FOR CURRENT_USER SERVER %I', srvname) FROM pg_foreign_server WHERE srvname LIKE 'ps%' \gexec
CREATE TABLE items (LIKE whole) PARTITION BY LIST ((id % :server_count));
SELECT format('CREATE FOREIGN TABLE parts_%s PARTITION OF items FOR VALUES IN (%s) SERVER ps%1$s OPTIONS (table_name ''items'')',
    n, n - 1) FROM generate_series(1, :server_count) AS n \gexec
CREATE FUNCTION by_partitions(q real[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
BEGIN
    RETURN ARRAY(SELECT id FROM items ORDER BY embedding <=> q, id LIMIT 10);
END $$;
CREATE FUNCTION whole(q real[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
BEGIN
    RETURN ARRAY(SELECT id FROM whole ORDER BY embedding <=> q, id LIMIT 10);
END $$;

CREATE TABLE measured (kind text, query integer, ms double precision, answer bigint[]);
CREATE PROCEDURE measure(kinds text[], questions integer, rounds integer) LANGUAGE plpgsql AS $$
DECLARE
    q queries;
    kind text;
    began timestamptz;
    answer bigint[];
BEGIN
    FOR q IN SELECT id, embedding FROM queries, generate_series(0, rounds) AS round
        WHERE id <= questions ORDER BY round, id LOOP
        FOREACH kind IN ARRAY kinds LOOP
            began := clock_timestamp();
            EXECUTE format('SELECT %I($1)', kind) INTO answer USING q.embedding;
            INSERT INTO measured VALUES (kind, q.id, 1000 * extract(epoch FROM clock_timestamp() - began), answer);
        END LOOP;
    END LOOP;
END $$;
CALL measure('{whole,fan_out,by_union,by_partitions}', :queries, :rounds);

SELECT rpad(kind, 44) || to_char(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), '99990.00') || ' ms'
FROM measured GROUP BY kind ORDER BY percentile_cont(0.5) WITHIN GROUP (ORDER BY ms);
SELECT 'different answers: ' || count(*) FROM measured AS m JOIN measured AS w USING (query)
WHERE w.kind = 'whole' AND m.answer <> w.answer;
