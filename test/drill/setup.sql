-- What the drill runs its load against, and the answers that are expected:
-- stored bits, of portable code, from before any step.
--
-- Needs the variable data: the file glove100-10k.tsv, unpacked.

CREATE EXTENSION engramk;

CREATE TABLE word (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, word text, embedding real[],
    tenant integer GENERATED ALWAYS AS (id % 7) STORED);
\copy word (word, embedding) FROM PSTDIN
SELECT count(*) AS has_pgvector FROM pg_available_extensions
WHERE name = 'vector' AND string_to_array(default_version, '.')::integer[] >= '{0,7}' \gset
\if :has_pgvector
CREATE EXTENSION vector;
CREATE EXTENSION engramk_pgvector;
ALTER TABLE word ADD vector vector(100) GENERATED ALWAYS AS (embedding::vector(100)) STORED;
\endif
ANALYZE word;

-- Views of users: they depend on operators and functions of version 1.0.
CREATE VIEW distances AS
    SELECT q.id AS query,
        md5(string_agg(float8send(w.embedding <=> q.embedding) || float8send(w.embedding <#> q.embedding)
            || float8send(w.embedding <-> q.embedding) || float8send(w.embedding <+> q.embedding),
            '' ORDER BY w.id)) AS answer
    FROM word AS q, word AS w
    WHERE w.id <= 200
    GROUP BY q.id;

CREATE TABLE shelf AS
    SELECT array_agg(embedding ORDER BY id) AS embeddings FROM word WHERE id <= 200;

CREATE VIEW batches AS
    SELECT q.id AS query,
        md5(array_send(engram_cosine_batch(q.embedding, s.embeddings))
            || (SELECT string_agg(int4send(t.ordinal) || float8send(t.similarity), '' ORDER BY t.ordinal)
                FROM engram_topk(q.embedding, s.embeddings, 10) AS t)
            || float8send(engram_norm(q.embedding)) || array_send(engram_normalize(q.embedding))
            || boolsend(engram_is_valid(q.embedding))) AS answer
    FROM word AS q, shelf AS s;

CREATE VIEW nearest AS
    SELECT q.id AS query,
        (SELECT string_agg(n.id || ' ' || encode(float8send(n.distance), 'hex'), ',' ORDER BY n.distance, n.id)
         FROM (SELECT w.id, w.embedding <=> q.embedding AS distance
               FROM word AS w ORDER BY distance, w.id LIMIT 10) AS n) AS answer
    FROM word AS q;

CREATE VIEW of_tenant AS
    SELECT q.id AS query,
        (SELECT string_agg(n.id || ' ' || encode(float8send(n.distance), 'hex'), ',' ORDER BY n.distance, n.id)
         FROM (SELECT w.id, w.embedding <=> q.embedding AS distance
               FROM word AS w WHERE w.tenant = 3 ORDER BY distance, w.id LIMIT 10) AS n) AS answer
    FROM word AS q;

-- Views that need nothing of engramk.
\if :has_pgvector
CREATE VIEW by_vector AS
    SELECT q.id AS query,
        (SELECT string_agg(n.id || ' ' || encode(float8send(n.distance), 'hex'), ',' ORDER BY n.distance, n.id)
         FROM (SELECT w.id, w.vector <=> q.vector AS distance
               FROM word AS w ORDER BY distance, w.id LIMIT 10) AS n) AS answer
    FROM word AS q;
\endif
CREATE VIEW plain AS
    SELECT id AS query, md5(array_send(embedding)) AS answer FROM word;

CREATE TABLE expected (kind text, query integer, answer text NOT NULL, PRIMARY KEY (kind, query));
CREATE TABLE difference (at timestamptz DEFAULT clock_timestamp(), kind text, query integer);

SET engramk.simd = off;
INSERT INTO expected SELECT 'distances', query, answer FROM distances WHERE query <= 40;
INSERT INTO expected SELECT 'batches', query, answer FROM batches WHERE query <= 40;
INSERT INTO expected SELECT 'nearest', query, answer FROM nearest WHERE query <= 40;
INSERT INTO expected SELECT 'of_tenant', query, answer FROM of_tenant WHERE query <= 40;
\if :has_pgvector
INSERT INTO expected SELECT 'by_vector', query, answer FROM by_vector WHERE query <= 40;
\endif
INSERT INTO expected SELECT 'plain', query, answer FROM plain WHERE query <= 40;
RESET engramk.simd;
ANALYZE expected;

-- This very server, as one that is asked by engram_fan_out.
CREATE FOREIGN DATA WRAPPER drill_wrapper;
CREATE SERVER drill_itself FOREIGN DATA WRAPPER drill_wrapper OPTIONS (host :'HOST', port :'PORT', dbname 'drill');
CREATE USER MAPPING FOR CURRENT_USER SERVER drill_itself OPTIONS (user 'drill_app');

-- Privileges that a user has changed.
REVOKE EXECUTE ON FUNCTION engram_cosine_batch(real[], real[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION engram_cosine_batch(real[], real[]) TO drill_app, drill_canary;
GRANT SELECT ON word, shelf, distances, batches, nearest, of_tenant, plain, expected TO drill_app, drill_canary;
GRANT INSERT ON difference TO drill_app, drill_canary;
