-- The type of a test's vectors: real[], or what the setting test.vector_type says, one of
-- pgvector's.  Tests that include this have a domain of it, `vec`; USING engramk (v) makes
-- an index that serves the three operators, whatever the type; and `metric` has what belongs
-- to each.
SELECT coalesce(nullif(current_setting('test.vector_type', true), ''), 'real[]') AS vector_type \gset
SELECT :'vector_type' <> 'real[]' AS is_of_pgvector \gset
SELECT 'engram_' || :'vector_type' || '_ball' AS ball, 'engram_' || :'vector_type' || '_support' AS support \gset
\if :is_of_pgvector
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;
CREATE EXTENSION IF NOT EXISTS engramk_pgvector SCHEMA public;
COMMIT;
-- pgvector has a class for each operator
UPDATE pg_opclass SET opcdefault = false
WHERE opcintype = :'vector_type'::regtype AND opcmethod = (SELECT oid FROM pg_am WHERE amname = 'engramk');
CREATE OPERATOR CLASS all_ops DEFAULT FOR TYPE :vector_type USING engramk AS
    OPERATOR 1 <=> (:vector_type, :vector_type) FOR ORDER BY float_ops,
    OPERATOR 2 <#> (:vector_type, :vector_type) FOR ORDER BY float_ops,
    OPERATOR 3 <-> (:vector_type, :vector_type) FOR ORDER BY float_ops,
    OPERATOR 4 <=>@ (:vector_type, :ball),
    OPERATOR 5 <#>@ (:vector_type, :ball),
    OPERATOR 6 <->@ (:vector_type, :ball),
    FUNCTION 1 :support(internal);
\endif
CREATE DOMAIN vec AS :vector_type;

-- The functions that the operators stand for, which no index can serve; and what is within a
-- radius, with the distance that it means.
CREATE TABLE metric (operator text, distance text, within text, engram_distance text);
INSERT INTO metric
SELECT operator, CASE :'vector_type' WHEN 'real[]' THEN engram_distance ELSE replace(distance, '?', :'vector_type') END,
    within, engram_distance
FROM (VALUES ('<=>', 'cosine_distance', 'engram_cosine_within', 'engram_cosine_distance'),
    ('<#>', '?_negative_inner_product', 'engram_inner_product_within', 'engram_negative_inner_product'),
    ('<->', 'l2_distance', 'engram_l2_within', 'engram_l2_distance')) AS m(operator, distance, within, engram_distance);

-- As much of a vector as its type has room for.
CREATE FUNCTION as_vec(v real[]) RETURNS vec LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (CASE WHEN current_setting('test.vector_type', true) = 'halfvec' THEN
        ARRAY(SELECT least(greatest(x, -65000), 65000)::real FROM unnest(v) WITH ORDINALITY AS u(x, i) ORDER BY i) ELSE v END)::vec
$$;
