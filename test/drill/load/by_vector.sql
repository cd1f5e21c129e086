\set query random(1, 40)
SELECT string_agg(n.id || ' ' || encode(float8send(n.distance), 'hex'), ',' ORDER BY n.distance, n.id)
    IS DISTINCT FROM
    (SELECT answer FROM expected WHERE kind = 'by_vector' AND query = :query) AS differs
FROM (SELECT id, vector <=> (SELECT vector FROM word WHERE id = :query) AS distance
      FROM word ORDER BY distance LIMIT 10) AS n \gset
\if :differs
INSERT INTO difference (kind, query) VALUES ('by vector', :query);
\endif
