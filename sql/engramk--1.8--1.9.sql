/* engramk--1.8--1.9.sql: many machines */

-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION engramk UPDATE TO '1.9'" to load this file. \quit

-- The k nearest of each query, of what several servers have found

CREATE FUNCTION engram_nearest_merge_add(state internal, matches engram_match[], k integer) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_bigint_add'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_merge_add(state internal, matches engram_uuid_match[], k integer) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_uuid_add'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_merge_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_combine'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_merge_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_serialize'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_merge_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_deserialize'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_merge_result(internal) RETURNS engram_match[]
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_bigint_result'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION engram_nearest_merge_uuid_result(internal) RETURNS engram_uuid_match[]
    AS 'MODULE_PATHNAME', 'ek_sql_nearest_merge_uuid_result'
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;

CREATE AGGREGATE engram_nearest_merge(matches engram_match[], k integer) (
    SFUNC = engram_nearest_merge_add, STYPE = internal, SSPACE = 8192,
    FINALFUNC = engram_nearest_merge_result,
    COMBINEFUNC = engram_nearest_merge_combine,
    SERIALFUNC = engram_nearest_merge_serialize, DESERIALFUNC = engram_nearest_merge_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest_merge(engram_match[], integer) IS
    'the k nearest rows of each query, of the lists that engram_nearest found in several places';

CREATE AGGREGATE engram_nearest_merge(matches engram_uuid_match[], k integer) (
    SFUNC = engram_nearest_merge_add, STYPE = internal, SSPACE = 8192,
    FINALFUNC = engram_nearest_merge_uuid_result,
    COMBINEFUNC = engram_nearest_merge_combine,
    SERIALFUNC = engram_nearest_merge_serialize, DESERIALFUNC = engram_nearest_merge_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE engram_nearest_merge(engram_uuid_match[], integer) IS
    'the k nearest rows of each query, of the lists that engram_nearest found in several places';

COMMENT ON FUNCTION engram_nearest_merge_add(internal, engram_match[], integer) IS 'part of engram_nearest_merge';
COMMENT ON FUNCTION engram_nearest_merge_add(internal, engram_uuid_match[], integer) IS 'part of engram_nearest_merge';
COMMENT ON FUNCTION engram_nearest_merge_combine(internal, internal) IS 'part of engram_nearest_merge';
COMMENT ON FUNCTION engram_nearest_merge_serialize(internal) IS 'part of engram_nearest_merge';
COMMENT ON FUNCTION engram_nearest_merge_deserialize(bytea, internal) IS 'part of engram_nearest_merge';
COMMENT ON FUNCTION engram_nearest_merge_result(internal) IS 'part of engram_nearest_merge';
COMMENT ON FUNCTION engram_nearest_merge_uuid_result(internal) IS 'part of engram_nearest_merge';

-- The same question to several servers

CREATE FUNCTION engram_fan_out(
    servers name[], statement text, parameters text[], k integer, allow_missing boolean DEFAULT false)
    RETURNS TABLE (server name, id bigint, distance double precision, error text)
    AS 'MODULE_PATHNAME', 'ek_sql_fan_out'
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 100000 ROWS 10;
COMMENT ON FUNCTION engram_fan_out(name[], text, text[], integer, boolean) IS
    'the k nearest of the rows (id, distance) that a SELECT gives on foreign servers';

CREATE FUNCTION engram_uuid_fan_out(
    servers name[], statement text, parameters text[], k integer, allow_missing boolean DEFAULT false)
    RETURNS TABLE (server name, id uuid, distance double precision, error text)
    AS 'MODULE_PATHNAME', 'ek_sql_uuid_fan_out'
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 100000 ROWS 10;
COMMENT ON FUNCTION engram_uuid_fan_out(name[], text, text[], integer, boolean) IS
    'the k nearest of the rows (id, distance) that a SELECT gives on foreign servers';

-- A join in slices, on which several sessions work, and which goes on where it was interrupted.
-- The caller's SELECTs need the caller's search_path, and a procedure that sets its own cannot
-- commit: so everything but them is named in full.

CREATE FUNCTION engram_knn_join_create(job text, queries text, targets text, k integer,
                                       slice_rows integer DEFAULT 50000, exclude_self boolean DEFAULT false,
                                       metric text DEFAULT 'cosine', max_distance double precision DEFAULT 'Infinity',
                                       join_by name DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 100000 AS $$
DECLARE
    parts pg_catalog.text[] := pg_catalog.parse_ident(job);
    job_name pg_catalog.text := parts[pg_catalog.cardinality(parts)];
    job_schema pg_catalog.text := pg_catalog.current_schema();
    result pg_catalog.text;
    slices pg_catalog.text;
    terms pg_catalog.text;
    slice_count integer;
    -- the text may end with a comment
    source pg_catalog.text := pg_catalog.format(E'(%s\n) AS q ("id of query")',
                                                pg_catalog.rtrim(queries, E'; \t\r\n'));
BEGIN
    IF parts IS NULL OR pg_catalog.cardinality(parts) OPERATOR(pg_catalog.>) 2 THEN
        RAISE invalid_parameter_value USING MESSAGE =
            'job must be the name of a table, with or without its schema';
    END IF;
    IF pg_catalog.num_nulls(queries, targets, k, exclude_self, metric, max_distance) OPERATOR(pg_catalog.>) 0 THEN
        RAISE null_value_not_allowed USING MESSAGE = 'terms of a join in slices must not be null';
    END IF;
    IF slice_rows IS NULL OR slice_rows OPERATOR(pg_catalog.<) 1 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'slice_rows must be at least 1';
    END IF;
    IF pg_catalog.octet_length(job_name) OPERATOR(pg_catalog.+) pg_catalog.octet_length('_slices')
            OPERATOR(pg_catalog.>) pg_catalog.current_setting('max_identifier_length')::integer THEN
        RAISE name_too_long USING MESSAGE =
            pg_catalog.format('"%s" is too long for a name to which "_slices" is added', job_name);
    END IF;
    IF pg_catalog.cardinality(parts) OPERATOR(pg_catalog.=) 2 THEN
        job_schema := parts[1];
    END IF;
    IF job_schema IS NULL THEN
        RAISE invalid_schema_name USING MESSAGE = 'no schema has been selected to create in';
    END IF;
    result := pg_catalog.format('%I.%I', job_schema, job_name);
    slices := pg_catalog.format('%I.%I', job_schema, pg_catalog.concat(job_name, '_slices'));
    terms := pg_catalog.format('%I.%I', job_schema, pg_catalog.concat(job_name, '_terms'));

    EXECUTE pg_catalog.format(
        'CREATE TABLE %s (query_id bigint NOT NULL, target_id bigint NOT NULL, rank integer NOT NULL, '
        'distance double precision NOT NULL)', result);
    EXECUTE pg_catalog.format(
        'CREATE TABLE %s (slice integer PRIMARY KEY, first_id bigint, end_id bigint, '
        'started_at timestamp with time zone, finished_at timestamp with time zone, pid integer, rows bigint)', slices);
    EXECUTE pg_catalog.format(
        'CREATE TABLE %s (queries pg_catalog.text NOT NULL, targets pg_catalog.text NOT NULL, k integer NOT NULL, '
        'exclude_self boolean NOT NULL, metric pg_catalog.text NOT NULL, max_distance double precision NOT NULL, '
        'join_by pg_catalog.name, created_at timestamp with time zone NOT NULL)', terms);
    EXECUTE pg_catalog.format('INSERT INTO %s VALUES ($1, $2, $3, $4, $5, $6, $7, $8)', terms)
        USING queries, targets, k, exclude_self, metric, max_distance, join_by, pg_catalog.clock_timestamp();

    -- a join of no queries raises every error that the terms can have
    EXECUTE (
        SELECT pg_catalog.format('SELECT FROM %I.engram_knn_join('
                                 '$1, $2, $3, max_distance => $4, exclude_self => $5, metric => $6%s)',
                                 n.nspname, CASE WHEN join_by IS NOT NULL THEN ', join_by => $7' END)
        FROM pg_catalog.pg_extension AS e
            JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
        WHERE e.extname OPERATOR(pg_catalog.=) 'engramk')
        USING pg_catalog.format('SELECT * FROM %s WHERE false', source), targets, k, max_distance, exclude_self,
            metric, join_by;

    -- equal ids have the same rank, so no slice ends between them; the outermost are open
    EXECUTE pg_catalog.format($query$
        INSERT INTO %s (slice, first_id, end_id)
        SELECT pg_catalog.row_number() OVER by_id, first_id, pg_catalog.lead(first_id) OVER by_id
        FROM (SELECT NULL::bigint AS first_id
              UNION ALL
              SELECT pg_catalog.min(id)
              FROM (SELECT "id of query"::bigint AS id,
                        (pg_catalog.rank() OVER (ORDER BY "id of query") OPERATOR(pg_catalog.-) 1)
                            OPERATOR(pg_catalog./) $1 AS slice
                    FROM %s WHERE "id of query" IS NOT NULL) AS ids
              WHERE slice OPERATOR(pg_catalog.>) 0
              GROUP BY slice) AS firsts
        WINDOW by_id AS (ORDER BY first_id NULLS FIRST)
        $query$, slices, source) USING slice_rows;
    GET DIAGNOSTICS slice_count = ROW_COUNT;
    RETURN slice_count;
END $$;
COMMENT ON FUNCTION engram_knn_join_create(text, text, text, integer, integer, boolean, text, double precision, name) IS
    'prepares a join in slices: tables of its result, its slices and its terms; returns how many slices';

CREATE PROCEDURE engram_knn_join_run(job text)
    LANGUAGE plpgsql AS $$
DECLARE
    result pg_catalog.text;
    slices pg_catalog.text;
    slices_table pg_catalog.oid;
    terms pg_catalog.text;
    term pg_catalog.record;
    part pg_catalog.record;
    begin_one pg_catalog.text;
    hold_it pg_catalog.text;
    join_it pg_catalog.text;
    finish_it pg_catalog.text;
    slice_begun integer;
    began_at timestamp with time zone;
    row_count bigint;
BEGIN
    SELECT pg_catalog.format('%I.%I', n.nspname, c.relname),
        pg_catalog.format('%I.%I', n.nspname, s.relname),
        pg_catalog.format('%I.%I', n.nspname, pg_catalog.concat(c.relname, '_terms')), s.oid
    INTO result, slices, terms, slices_table
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
        JOIN pg_catalog.pg_class AS s ON s.relnamespace OPERATOR(pg_catalog.=) n.oid
            AND s.relname OPERATOR(pg_catalog.=) pg_catalog.concat(c.relname, '_slices') AND s.relkind OPERATOR(pg_catalog.=) 'r'
    WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(job);
    IF NOT FOUND THEN
        RAISE undefined_table USING MESSAGE = pg_catalog.format('there is no join in slices "%s"', job);
    END IF;

    EXECUTE pg_catalog.format('SELECT * FROM %s', terms) INTO STRICT term;
    begin_one := pg_catalog.format('UPDATE %1$s SET started_at = $1, pid = $2 WHERE slice OPERATOR(pg_catalog.=) '
                                   '(SELECT slice FROM %1$s WHERE finished_at IS NULL '
                                   'ORDER BY started_at NULLS FIRST, slice LIMIT 1 FOR UPDATE SKIP LOCKED) '
                                   'RETURNING slice', slices);
    hold_it := pg_catalog.format('SELECT slice, first_id, end_id FROM %s WHERE slice OPERATOR(pg_catalog.=) $1 '
                                 'AND finished_at IS NULL FOR UPDATE SKIP LOCKED', slices);
    SELECT pg_catalog.format('INSERT INTO %s (query_id, target_id, rank, distance) '
                             'SELECT query_id, target_id, rank, distance FROM %I.engram_knn_join('
                             '$1, $2, $3, max_distance => $4, exclude_self => $5, metric => $6%s)',
                             result, n.nspname, CASE WHEN term.join_by IS NOT NULL THEN ', join_by => $7' END)
    INTO STRICT join_it
    FROM pg_catalog.pg_extension AS e
        JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
    WHERE e.extname OPERATOR(pg_catalog.=) 'engramk';
    finish_it := pg_catalog.format('UPDATE %s SET started_at = $2, finished_at = $3, pid = $4, rows = $5 '
                                   'WHERE slice OPERATOR(pg_catalog.=) $1', slices);

    LOOP
        -- Who begins a slice commits that first: those that were begun before come last, so that one
        -- with an error keeps nobody from the others.
        COMMIT;
        -- a row that another session changes meanwhile is looked at again then, and not an error
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        began_at := pg_catalog.clock_timestamp();
        EXECUTE begin_one USING began_at, pg_catalog.pg_backend_pid() INTO slice_begun;
        EXIT WHEN slice_begun IS NULL;

        -- The slice is another transaction.  Its row is locked while it is joined, which no end of the
        -- session outlives; whoever was faster has it.
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        EXECUTE hold_it USING slice_begun INTO part;
        CONTINUE WHEN part.slice IS NULL;
        -- by now it cannot be dropped, but may have been, and made again of other terms
        IF pg_catalog.to_regclass(slices) OPERATOR(pg_catalog.<>) slices_table THEN
            RAISE undefined_table USING MESSAGE = pg_catalog.format('join in slices "%s" is another one by now', job);
        END IF;

        EXECUTE join_it USING
            pg_catalog.concat(
                pg_catalog.format(E'SELECT * FROM (%s\n) AS q ("id of query") WHERE true',
                                  pg_catalog.rtrim(term.queries, E'; \t\r\n')),
                CASE WHEN part.first_id IS NOT NULL THEN
                    pg_catalog.format(' AND "id of query" OPERATOR(pg_catalog.>=) %L::bigint', part.first_id) END,
                CASE WHEN part.end_id IS NOT NULL THEN
                    pg_catalog.format(' AND "id of query" OPERATOR(pg_catalog.<) %L::bigint', part.end_id) END),
            term.targets, term.k, term.max_distance, term.exclude_self, term.metric, term.join_by;
        GET DIAGNOSTICS row_count = ROW_COUNT;
        EXECUTE finish_it USING part.slice, began_at, pg_catalog.clock_timestamp(), pg_catalog.pg_backend_pid(),
            row_count;
    END LOOP;
END $$;
COMMENT ON PROCEDURE engram_knn_join_run(text) IS
    'joins one free slice after another until there is none, each in a transaction; any number of sessions at once';

CREATE FUNCTION engram_knn_join_progress(job text, OUT slices integer, OUT finished integer, OUT running integer,
                                         OUT rows bigint, OUT started_at timestamp with time zone, OUT elapsed interval,
                                         OUT expected_end timestamp with time zone)
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL RESTRICTED COST 1000 SET row_security = off AS $$
DECLARE
    slices_name pg_catalog.text;
    slices_table pg_catalog.oid;
    column_count bigint;
    mean interval;
    spent interval;
    seen_at timestamp with time zone;
    ended_at timestamp with time zone;
BEGIN
    SELECT pg_catalog.format('%I.%I', n.nspname, s.relname), s.oid INTO slices_name, slices_table
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
        JOIN pg_catalog.pg_class AS s ON s.relnamespace OPERATOR(pg_catalog.=) n.oid
            AND s.relname OPERATOR(pg_catalog.=) pg_catalog.concat(c.relname, '_slices') AND s.relkind OPERATOR(pg_catalog.=) 'r'
    WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(job);
    IF FOUND THEN
        -- Types of its owner's own would have casts and operators that run by the rights of who asks.
        -- The lock keeps the table, its name and its types as they are.
        EXECUTE pg_catalog.format('LOCK TABLE %s IN ACCESS SHARE MODE', slices_name);
        SELECT pg_catalog.count(*) INTO column_count
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid OPERATOR(pg_catalog.=) slices_table
            AND pg_catalog.to_regclass(slices_name) OPERATOR(pg_catalog.=) slices_table
            AND (a.attname OPERATOR(pg_catalog.=) 'slice' AND a.atttypid OPERATOR(pg_catalog.=) 'pg_catalog.int4'::pg_catalog.regtype
                OR a.attname OPERATOR(pg_catalog.=) 'rows' AND a.atttypid OPERATOR(pg_catalog.=) 'pg_catalog.int8'::pg_catalog.regtype
                OR a.attname OPERATOR(pg_catalog.=) 'started_at'
                    AND a.atttypid OPERATOR(pg_catalog.=) 'pg_catalog.timestamptz'::pg_catalog.regtype
                OR a.attname OPERATOR(pg_catalog.=) 'finished_at'
                    AND a.atttypid OPERATOR(pg_catalog.=) 'pg_catalog.timestamptz'::pg_catalog.regtype);
    END IF;
    IF column_count IS NULL OR column_count OPERATOR(pg_catalog.<) 4 THEN
        RAISE undefined_table USING MESSAGE = pg_catalog.format('there is no join in slices "%s"', job);
    END IF;

    -- who has locked a row is in its xmax, and runs if that transaction is in pg_locks; a standby
    -- does not know
    EXECUTE pg_catalog.format($query$
        SELECT pg_catalog.count(*), pg_catalog.count(s.finished_at),
            CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.count(l.transactionid) END,
            coalesce(pg_catalog.sum(s.rows), 0), pg_catalog.min(s.started_at), pg_catalog.max(s.finished_at),
            pg_catalog.max(m.mean), pg_catalog.sum(least(m.seen_at OPERATOR(pg_catalog.-) s.started_at, m.mean))
                FILTER (WHERE l.transactionid IS NOT NULL),
            pg_catalog.max(m.seen_at)
        FROM %1$s AS s
            CROSS JOIN (SELECT pg_catalog.clock_timestamp() AS seen_at,
                            pg_catalog.avg(finished_at OPERATOR(pg_catalog.-) started_at) AS mean FROM %1$s) AS m
            LEFT JOIN pg_catalog.pg_locks AS l ON s.finished_at IS NULL
                AND l.transactionid OPERATOR(pg_catalog.=) s.xmax
                AND l.locktype OPERATOR(pg_catalog.=) 'transactionid' AND l.mode OPERATOR(pg_catalog.=) 'ExclusiveLock'
        $query$, slices_name)
        INTO STRICT slices, finished, running, rows, started_at, ended_at, mean, spent, seen_at;

    IF finished OPERATOR(pg_catalog.=) slices THEN
        elapsed := ended_at OPERATOR(pg_catalog.-) started_at;
        expected_end := ended_at;
        RETURN;
    END IF;
    elapsed := seen_at OPERATOR(pg_catalog.-) started_at;
    IF running OPERATOR(pg_catalog.>) 0 THEN
        expected_end := seen_at OPERATOR(pg_catalog.+)
            ((mean OPERATOR(pg_catalog.*) (slices OPERATOR(pg_catalog.-) finished) OPERATOR(pg_catalog.-) spent)
                OPERATOR(pg_catalog./) running);
    END IF;
END $$;
COMMENT ON FUNCTION engram_knn_join_progress(text) IS
    'how far a join in slices is, how many sessions work on it now, and when it should be done';
