\set query random(1, 40)
SELECT answer IS DISTINCT FROM
    (SELECT answer FROM expected WHERE kind = 'plain' AND query = :query) AS differs
FROM plain WHERE query = :query \gset
\if :differs
INSERT INTO difference (kind, query) VALUES ('plain', :query);
\endif
