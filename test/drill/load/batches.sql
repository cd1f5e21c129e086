\set query random(1, 40)
SELECT answer IS DISTINCT FROM
    (SELECT answer FROM expected WHERE kind = 'batches' AND query = :query) AS differs
FROM batches WHERE query = :query \gset
\if :differs
INSERT INTO difference (kind, query) VALUES ('batches', :query);
\endif
