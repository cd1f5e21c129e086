# Every form of a query, over every kind of table that Citus knows: either it gives
# the rows and the bits of one plain table, or it is refused with the error that
# docs/citus.md says.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkCitus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($coordinator) = start_citus();
my @kinds = qw(by_id by_tenant reference local);
my $q = 'sample_vector(77)';

sub run { return $coordinator->safe_psql('postgres', $_[0]); }

# ITEMS is the table; the answer is that of "plain".
sub same
{
	my ($name, $query, @tables) = @_;

	is(run($query =~ s/ITEMS/$_/gr), run($query =~ s/ITEMS/plain/gr), "$name: $_") foreach @tables;
	return;
}

sub fails
{
	my ($name, $query, $sqlstate, $message) = @_;

	is(sqlstate_of($coordinator, $query), $sqlstate, "$name: $sqlstate");
	like(error_of($coordinator, $query), $message, "$name: what it says");
	return;
}

sub tasks_of { return run("EXPLAIN (COSTS OFF, VERBOSE) $_[0]"); }

note(run('SELECT citus_version()'));

# The order by a distance, with its limit in every shard

foreach my $table (@kinds)
{
	is(run("SELECT differing('$table', 100, 10)"), '0', "$table: 300 queries, the rows and the bits of a plain table");
	is(run("SELECT differing('$table', 5, 100000)"), '0', "$table: to the last row");
	is(run("SELECT differing('$table', 20, 10, \$\$category = 'art' AND tenant_id IN (3, 4)\$\$)"), '0',
		"$table: under a filter");
	is(run("SELECT differing('$table', 20, 10, 'engram_cosine_within(embedding, sample_vector(77), 0.3)')"), '0',
		"$table: within a radius");
	like(tasks_of("SELECT id FROM $table ORDER BY embedding <=> $q LIMIT 10"),
		qr/Limit\n.*\n\s+->  Index Scan using ${table}_embedding_\d+/, "$table: by the index, with the limit");
}
is(run("SELECT differing('by_tenant', 40, 10, 'tenant_id = 7')"), '0', 'by_tenant: of one tenant');
my $of_tenant = tasks_of("SELECT id FROM by_tenant WHERE tenant_id = 7 AND category = 'art'
	ORDER BY embedding <=> $q LIMIT 10");
like($of_tenant, qr/Task Count: 1\n/, 'of one tenant: one shard');
like($of_tenant, qr/Index Cond: \(\(by_tenant\.tenant_id = 7\) AND \(by_tenant\.category = 'art'::text\)\)/,
	'of one tenant: the filter columns of the index');
like(tasks_of("SELECT id FROM by_id WHERE engram_cosine_within(embedding, $q, 0.05)"),
	qr/Index Scan using by_id_embedding_\d+ .*\n.*\n\s+Index Cond: .*engram_ball/, 'a radius: by the index');

my $bits = "encode(float8send(embedding <=> $q), 'hex')";
same('OFFSET', "SELECT id, $bits FROM ITEMS ORDER BY embedding <=> $q, id LIMIT 5 OFFSET 40", @kinds);
same('a radius alone', "SELECT id FROM ITEMS WHERE engram_l2_within(embedding, $q, 2.5) ORDER BY id", @kinds);
same('a bound on the distance',
	"SELECT id, $bits FROM ITEMS WHERE embedding <=> $q < 0.01 ORDER BY embedding <=> $q, id LIMIT 50", @kinds);
same('taxicab, without an index', "SELECT id FROM ITEMS ORDER BY embedding <+> $q, id LIMIT 10", @kinds);
same('a join with a reference table',
	"SELECT i.id, r.category FROM ITEMS i JOIN reference r USING (id) ORDER BY i.embedding <=> $q, 1 LIMIT 10", @kinds);
same('window functions', "SELECT tenant_id, id FROM (SELECT tenant_id, id, row_number() OVER (PARTITION BY tenant_id
	ORDER BY embedding <=> $q, id) AS r FROM ITEMS) AS x WHERE r <= 2 ORDER BY 1, 2", @kinds);
same('a cursor', "BEGIN; DECLARE c CURSOR FOR SELECT id FROM ITEMS WHERE embedding IS NOT NULL
	ORDER BY embedding <=> $q, id;
	FETCH 3 FROM c; FETCH 500 FROM c; MOVE 5000 FROM c; FETCH ALL FROM c; COMMIT", @kinds);
same('a cursor that outlives its transaction', "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT id FROM ITEMS
	ORDER BY embedding <=> $q, id LIMIT 10; FETCH 3 FROM c; COMMIT; FETCH 3 FROM c", @kinds);
run("CREATE VIEW seen_$_ AS SELECT id, embedding AS vector FROM $_") foreach @kinds, 'plain';
same('a view', "SELECT id FROM seen_ITEMS ORDER BY vector <=> $q, id LIMIT 10", @kinds);
like(tasks_of("SELECT id FROM by_id ORDER BY embedding <=> $q LIMIT 5 OFFSET 40"), qr/Query: SELECT .* LIMIT '?45'?/,
	'OFFSET: shards get the sum of both');
same('a subquery with a limit', "SELECT count(*), min(id) FROM (SELECT id FROM ITEMS
	ORDER BY embedding <=> $q LIMIT 10) AS x", @kinds);

# Where the query vector comes from

same('of a local table', "SELECT id FROM ITEMS ORDER BY embedding <=> (SELECT embedding FROM plain
	WHERE id = 77), id LIMIT 5", @kinds);
same('of a reference table', "SELECT id FROM ITEMS ORDER BY embedding <=> (SELECT embedding FROM reference
	WHERE id = 77), id LIMIT 5", @kinds);
fails('of the distributed table itself',
	'SELECT id FROM by_id ORDER BY embedding <=> (SELECT embedding FROM by_id WHERE id = 77) LIMIT 5', '0A000',
	qr/complex joins are only supported when all distributed tables are co-located/);
same('of the table itself, in WITH', 'WITH q AS MATERIALIZED (SELECT embedding FROM ITEMS WHERE id = 77)
	SELECT id FROM ITEMS ORDER BY embedding <=> (SELECT embedding FROM q), id LIMIT 5', @kinds);

# Prepared statements

my $prepared = "PREPARE p(real[]) AS SELECT id, encode(float8send(embedding <=> \$1), 'hex') FROM ITEMS
	ORDER BY embedding <=> \$1, id LIMIT 3;" . join '', map { "EXECUTE p(sample_vector($_));" } 1 .. 12;
same('a prepared statement, twelve times', $prepared, @kinds);
fails('a generic plan over shards',
	"SET plan_cache_mode = force_generic_plan; PREPARE p(real[]) AS SELECT id FROM by_id
		ORDER BY embedding <=> \$1 LIMIT 3;
	 EXECUTE p($q)", '0A000', qr/could not create distributed plan/);
fails('which is so without engramk',
	'SET plan_cache_mode = force_generic_plan; PREPARE p(integer) AS SELECT id FROM by_id ORDER BY abs(id - $1) LIMIT 3;
	 EXECUTE p(3)', '0A000', qr/could not create distributed plan/);
same('a generic plan of one tenant', "SET plan_cache_mode = force_generic_plan;
	PREPARE p(integer, real[]) AS SELECT id FROM ITEMS WHERE tenant_id = \$1 ORDER BY embedding <=> \$2, id LIMIT 3;"
	  . join('', map { "EXECUTE p($_, sample_vector($_));" } 1 .. 12), 'by_tenant');
run('CREATE FUNCTION by_variable(q real[]) RETURNS bigint LANGUAGE plpgsql AS $$
	BEGIN RETURN (SELECT sum(id) FROM (SELECT id FROM by_id ORDER BY embedding <=> q LIMIT 10) AS x); END $$;
	CREATE FUNCTION plain_by_variable(q real[]) RETURNS bigint LANGUAGE plpgsql AS $$
	BEGIN RETURN (SELECT sum(id) FROM (SELECT id FROM plain ORDER BY embedding <=> q LIMIT 10) AS x); END $$');
is(run('SELECT count(*) FROM generate_series(1, 20) AS n
	WHERE by_variable(sample_vector(n)) <> plain_by_variable(sample_vector(n))'),
	'0', 'a variable of PL/pgSQL, twenty times');

# Joins

my $pairs = 'SELECT q.id, t.id, t.bits FROM %s AS q CROSS JOIN
	LATERAL (SELECT i.id, encode(float8send(i.embedding <=> q.embedding), %s) AS bits
	FROM %s AS i WHERE %s ORDER BY i.embedding <=> q.embedding, i.id LIMIT 3) AS t WHERE q.id < 30 ORDER BY 1, 3, 2';
is(run(sprintf $pairs, 'by_tenant', "'hex'", 'by_tenant', 'i.tenant_id = q.tenant_id'),
	run(sprintf $pairs, 'plain', "'hex'", 'plain', 'i.tenant_id = q.tenant_id'), 'LATERAL within a tenant');
is(run(sprintf $pairs, 'by_id', "'hex'", 'reference', 'true'), run(sprintf $pairs, 'plain', "'hex'", 'plain', 'true'),
	'LATERAL from a distributed table to a reference table');
fails('LATERAL with a limit to a distributed table, from a reference table', sprintf($pairs, 'reference', "'hex'",
	'by_id', 'true'), '0A000',
	qr/cannot push down this subquery/);
fails('the same from itself', sprintf($pairs, 'by_id', "'hex'", 'by_id', 'true'), '0A000',
	qr/complex joins are only supported/);
same('pairs within a radius, of a reference table', 'SELECT q.id, i.id FROM reference AS q JOIN ITEMS AS i
	ON engram_cosine_within(i.embedding, q.embedding, 0.0001) AND q.id < i.id WHERE q.id < 40 ORDER BY 1, 2', @kinds);
fails('pairs within a radius, of itself', 'SELECT q.id, i.id FROM by_id AS q JOIN by_id AS i
	ON engram_cosine_within(i.embedding, q.embedding, 0.0001) AND q.id < i.id', '0A000',
		qr/complex joins are only supported/);
same('pairs within a radius and a tenant', 'SELECT q.id, i.id FROM ITEMS AS q
	JOIN ITEMS AS i ON q.tenant_id = i.tenant_id
	AND engram_cosine_within(i.embedding, q.embedding, 0.01) AND q.id < i.id WHERE q.id < 40 ORDER BY 1, 2',
		'by_tenant');
same('engram_knn_join', q{SELECT query_id, target_id, encode(float8send(distance), 'hex') FROM engram_knn_join(
	'SELECT id, embedding FROM ITEMS WHERE id < 40', 'SELECT id, embedding FROM ITEMS', 3, exclude_self => true)
		ORDER BY query_id, rank}, @kinds);
same('engram_knn_join within a tenant', q{SELECT query_id, target_id, encode(float8send(distance), 'hex')
	FROM engram_knn_join(
	'SELECT id, embedding, tenant_id FROM ITEMS WHERE id < 40', 'SELECT id, embedding, tenant_id FROM ITEMS', k => 3,
	join_by => 'tenant_id', max_distance => 0.2, exclude_self => true) ORDER BY query_id, rank}, @kinds);
same('engram_topk', "SELECT ordinal, encode(float8send(similarity), 'hex') FROM
	engram_topk($q, (SELECT array_agg(embedding ORDER BY id) FROM ITEMS WHERE embedding IS NOT NULL), 3)", @kinds);
same('engram_cosine_batch', "SELECT engram_cosine_batch($q,
	(SELECT array_agg(embedding ORDER BY id) FROM ITEMS WHERE id < 40))", @kinds);

# Aggregates

my $many = 'ARRAY(SELECT embedding FROM plain WHERE id < 20 ORDER BY id)';
same('engram_nearest', "SELECT m.query, m.id, encode(float8send(m.distance), 'hex')
	FROM (SELECT engram_nearest(id, embedding, $many, 3) AS nearest FROM ITEMS) AS f, unnest(f.nearest) AS m", @kinds);
same('engram_nearest in unnest', "SELECT m.id FROM unnest((SELECT engram_nearest(id, embedding, $q, 3)
	FROM ITEMS)) AS m", @kinds);
same('engram_nearest of each tenant', "SELECT g.tenant_id, m.id, encode(float8send(m.distance), 'hex')
	FROM (SELECT tenant_id, engram_nearest(id, embedding, $q, 2) AS nearest FROM ITEMS GROUP BY tenant_id) AS g,
	unnest(g.nearest) AS m ORDER BY 1, 3", @kinds);
same('engram_nearest of each category', "SELECT g.category, m.id
	FROM (SELECT category, engram_nearest(id, embedding, $q, 2) AS nearest FROM ITEMS GROUP BY category) AS g,
	unnest(g.nearest) AS m ORDER BY 1, 2", @kinds);
# of small integers, whose sums do not depend on the order
my $exact = 'ARRAY[id % 7, id % 11, tenant_id]::real[]';
same($_, "SELECT $_($exact) FROM ITEMS", @kinds) foreach qw(engram_sum engram_avg);
same("$_ of each tenant", "SELECT tenant_id, $_($exact) FROM ITEMS GROUP BY tenant_id ORDER BY tenant_id", @kinds)
  foreach qw(engram_sum engram_avg);
fails('unnest beside FROM', "SELECT unnest(engram_nearest(id, embedding, $q, 3)) FROM by_id", '0A000',
	qr/set-valued function called in context that cannot accept a set/);
fails('without pulling rows', "SET citus.coordinator_aggregation_strategy = 'disabled'; SELECT engram_sum(embedding)
	FROM by_id",
	'XX000', qr/unsupported aggregate function engram_sum/);
like(tasks_of('SELECT tenant_id, engram_sum(embedding) FROM by_tenant GROUP BY tenant_id'),
	qr/Query: SELECT tenant_id, public\.engram_sum\(embedding\)/, 'grouped by the distribution column: in the shards');
my $over_all = tasks_of('SELECT engram_sum(embedding) FROM by_id');
like($over_all, qr/Query: SELECT (?:embedding AS engram_sum|worker_partial_agg)/,
	'over all shards: rows or states come to the coordinator');
note('partial aggregates go down to the shards') if $over_all =~ /worker_partial_agg/;

# The lists of each shard, or of each tenant, merged: what comes to the coordinator are lists.
my $of_plain = run("SELECT m.query, m.id, encode(float8send(m.distance), 'hex')
	FROM unnest((SELECT engram_nearest(id, embedding, $many, 3) FROM plain)) AS m");
my $in_each_shard = q{SELECT engram_nearest(id, embedding, ARRAY(SELECT embedding FROM reference WHERE id < 20
	ORDER BY id), 3) FROM %s};
my $merged = "SELECT m.query, m.id, encode(float8send(m.distance), 'hex')
	FROM unnest((SELECT engram_nearest_merge(nullif(result, '')::engram_match[], 3) FROM run_command_on_shards('ITEMS',
		'$in_each_shard'))) AS m";
is(run($merged =~ s/ITEMS/$_/r), $of_plain, "engram_nearest in each shard, merged: $_")
  foreach qw(by_id by_tenant reference);
is(run("SELECT m.query, m.id, encode(float8send(m.distance), 'hex') FROM unnest((SELECT engram_nearest_merge(nearest, 3)
	FROM (SELECT tenant_id, engram_nearest(id, embedding, $many, 3) AS nearest FROM by_tenant
		GROUP BY tenant_id) AS of_tenant)) AS m"),
	$of_plain, 'engram_nearest of each tenant, merged');
like(tasks_of("SELECT engram_nearest_merge(nearest, 3) FROM (SELECT tenant_id, engram_nearest(id, embedding,
	$q, 3) AS nearest
	FROM by_tenant GROUP BY tenant_id) AS of_tenant"),
	qr/Query: .*public\.engram_nearest\(.* GROUP BY by_tenant\.tenant_id/,
	'which the shards compute');
is(run($merged =~ s/ITEMS/by_id/r =~ s/FROM %s/FROM %s WHERE id = 77/r),
	run("SELECT m.query, m.id, encode(float8send(m.distance), 'hex')
		FROM unnest((SELECT engram_nearest(id, embedding, $many, 3) FROM plain WHERE id = 77)) AS m"),
			'shards with nothing to give');

# What newer versions of Citus let any role do: bytes of its own for a state
run('CREATE ROLE anybody LOGIN');
foreach my $aggregate ('engram_sum(real[])', 'engram_nearest(bigint, real[], real[], integer)')
{
	my $result = $aggregate =~ /sum/ ? 'real[]' : 'engram_match[]';

	like(error_of($coordinator, "SET ROLE anybody; SELECT coord_combine_agg('$aggregate'::regprocedure,
		'\\x00'::cstring, NULL::$result)"),
		qr/does not support aggregates with INTERNAL transition state|invalid state of engram_/,
			"bytes for a state of $aggregate");
}

# Writing

my $copied = "$PostgreSQL::Test::Utils::tmp_check/copied";
run("COPY (SELECT id + 10000 AS id, tenant_id, category, sample_vector(id + 10000) FROM plain
	WHERE id <= 500) TO '$copied'");
foreach my $table (@kinds, 'plain')
{
	run("COPY $table FROM '$copied'");
	run("INSERT INTO $table SELECT i, i % 20, 'news', sample_vector(i) FROM generate_series(20001, 20300) AS i");
	run("UPDATE $table SET embedding = sample_vector(id + 50000) WHERE id % 10 = 3");
	run("UPDATE $table SET category = 'seen' WHERE id IN (SELECT id FROM $table ORDER BY embedding <=> $q LIMIT 10)");
	run("DELETE FROM $table WHERE id % 10 = 4");
	run("DELETE FROM $table WHERE id IN (SELECT id FROM $table ORDER BY embedding <-> $q LIMIT 10)");
}
foreach my $table (@kinds)
{
	is(run("SELECT differing('$table', 40, 10)"), '0', "$table: after COPY, INSERT, UPDATE and DELETE");
	is(run("SELECT differing('$table', 10, 10, \$\$category = 'seen'\$\$)"), '0', "$table: a filter that few pass");
	run("VACUUM ANALYZE $table");
	is(run("SELECT differing('$table', 20, 10000)"), '0', "$table: after VACUUM, to the last row");
}
same('in one transaction', "BEGIN; INSERT INTO ITEMS VALUES (30001, 1, 'x', $q); DELETE FROM ITEMS WHERE id < 100;
	SELECT id FROM ITEMS ORDER BY embedding <=> $q, id LIMIT 5; ROLLBACK; SELECT id FROM ITEMS
		ORDER BY embedding <=> $q, id LIMIT 5",
	'by_id', 'reference', 'local');
fails('FOR UPDATE over shards', "SELECT id FROM by_id ORDER BY embedding <=> $q LIMIT 3 FOR UPDATE", '0A000',
	qr/could not run distributed query with FOR UPDATE/);
same('FOR UPDATE of one tenant', "BEGIN; SELECT id FROM ITEMS WHERE tenant_id = 6
	ORDER BY embedding <=> $q LIMIT 3 FOR UPDATE; ROLLBACK", 'by_tenant');

# Errors keep their SQLSTATE on their way
fails('another length in a query', q{SELECT id FROM by_id ORDER BY embedding <=> '{1,2}' LIMIT 3}, '22000',
	qr/different vector dimensions 48 and 2/);
fails('another length in a row', q{INSERT INTO by_id VALUES (40001, 1, 'x', '{1,2}')}, '22000',
	qr/index "by_id_embedding_\d+" holds vectors with 48 dimensions, not 2/);
my $nan = "INSERT INTO by_id VALUES (40001, 1, 'x', '{" . join(',', ('NaN') x 48) . "}')";
fails('a row with NaN', $nan, '22003', qr/must not contain NaN or infinity/);
fails('but not where Citus copies', $nan =~ s/VALUES \((.*)\)$/SELECT $1/r, 'XX000',
	qr/must not contain NaN or infinity/);

# Each shard has its own index, and each index the length of its own first vector.
run("CREATE TABLE few (id integer PRIMARY KEY, embedding real[]); SELECT create_distributed_table('few',
	'id', shard_count => 4);
	CREATE INDEX few_embedding ON few USING engramk (embedding)");
run("INSERT INTO few SELECT i, ARRAY[1, 2] FROM generate_series(1, 50) AS i
	WHERE get_shard_id_for_distribution_column('few', i)
	= (SELECT min(shardid) FROM pg_dist_shard WHERE logicalrelid = 'few'::regclass);
	INSERT INTO few SELECT i, ARRAY[1, 2, 3] FROM generate_series(1, 50) AS i
		WHERE get_shard_id_for_distribution_column('few', i)
	> (SELECT min(shardid) FROM pg_dist_shard WHERE logicalrelid = 'few'::regclass)");
fails('two lengths in two shards, which nothing has refused', q{SELECT id FROM few
	ORDER BY embedding <=> '{1,2}' LIMIT 3},
	'22000', qr/different vector dimensions 3 and 2/);
run('DELETE FROM few WHERE cardinality(embedding) = 3;
	ALTER TABLE few ADD CONSTRAINT two CHECK (cardinality(embedding) = 2)');
fails('with a constraint', q{INSERT INTO few SELECT i, ARRAY[1, 2, 3] FROM generate_series(1, 50) AS i}, 'XX000',
	qr/violates check constraint "two_\d+"/);

# The table itself is altered

run('REINDEX INDEX by_id_embedding');
is(run("SELECT differing('by_id', 20, 10)"), '0', 'after REINDEX');
run('DROP INDEX by_id_embedding');
run('CREATE INDEX CONCURRENTLY by_id_embedding ON by_id USING engramk (embedding)');
is(run("SELECT differing('by_id', 20, 10)"), '0', 'after CREATE INDEX CONCURRENTLY');
run("SELECT alter_distributed_table('by_id', shard_count => 3)");
is(run("SELECT differing('by_id', 20, 10)"), '0', 'with another number of shards');
like(tasks_of("SELECT id FROM by_id ORDER BY embedding <=> $q LIMIT 10"), qr/Index Scan using by_id_embedding_\d+/,
	'which have their indexes');
run('CREATE TABLE plain_too AS SELECT * FROM plain');
run('CREATE INDEX plain_too_embedding ON plain_too USING engramk (embedding)');
run("SELECT create_distributed_table('plain_too', 'id', shard_count => 4)");
is(run("SELECT differing('plain_too', 20, 10)"), '0', 'a table that had rows and an index before it was distributed');
run("SELECT undistribute_table('plain_too')");
is(run("SELECT differing('plain_too', 20, 10)"), '0', 'and that is not distributed any more');
run("CREATE TABLE parts (id bigint, tenant_id integer, category text, embedding real[]) PARTITION BY RANGE (id);
	CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (3000);
	CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (3000) TO (100000);
	SELECT create_distributed_table('parts', 'tenant_id', shard_count => 4);
	CREATE INDEX parts_embedding ON parts USING engramk (embedding);
	INSERT INTO parts SELECT * FROM plain");
is(run("SELECT differing('parts', 20, 10)"), '0', 'partitions');

$coordinator->stop;
done_testing();
