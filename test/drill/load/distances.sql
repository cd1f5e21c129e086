\set query random(1, 40)
SELECT answer IS DISTINCT FROM
    (SELECT answer FROM expected WHERE kind = 'distances' AND query = :query) AS differs
FROM distances WHERE query = :query \gset
\if :differs
INSERT INTO difference (kind, query) VALUES ('distances', :query);
\endif
