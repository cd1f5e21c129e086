# What postgres_fdw does by itself with one table on three servers: every form of query
# gives, bit for bit, what one table gives; orders and limits go down to the servers; and
# writes find their server.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Engramk;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Servers;
use Test::More;

my ($front, @servers) = start_servers(3);
plan skip_all => 'dblink and postgres_fdw are not installed' if !$front;

my $any = '(SELECT v FROM query WHERE number = 7)';
my $vector = in_front($front, "SELECT v FROM query WHERE number = 7");
my $seven = "'$vector'::real[]";

# A fan-out in plain SQL: the nearest of each server, and of these the nearest
sub union_of
{
	my ($columns, $rest) = @_;

	return join(' UNION ALL ', map { "(SELECT $columns FROM items_$_ $rest)" } 1 .. 3);
}

sub plan_of
{
	my ($statement) = @_;

	return in_front($front, "EXPLAIN (VERBOSE, COSTS OFF) $statement");
}

# The nearest

foreach my $operator ('<=>', '<#>', '<->')
{
	foreach my $k (1, 10, 200)
	{
		my $truth = "SELECT id, embedding $operator $seven FROM whole ORDER BY 2, 1 LIMIT $k";
		my $nearest = union_of("id, embedding $operator $seven AS distance", "ORDER BY embedding $operator $seven, id LIMIT $k");

		answer_is($front, "SELECT id, distance FROM ($nearest OFFSET 0) AS n ORDER BY distance, id LIMIT $k", $truth, "$operator, $k: a UNION ALL of the nearest of each");
		answer_is($front, "SELECT id, embedding $operator $seven FROM items ORDER BY 2, 1 LIMIT $k", $truth, "$operator, $k: the partitioned table");
	}
}
my $ten = union_of("id, embedding <=> $seven AS distance", "ORDER BY embedding <=> $seven, id LIMIT 10");
my $plan = plan_of("SELECT id, distance FROM ($ten OFFSET 0) AS n ORDER BY distance, id LIMIT 10");
my $remote = qr/Remote SQL: SELECT id, embedding FROM public\.items ORDER BY \(embedding OPERATOR\(public\.<=>\) [^\n]*\) ASC NULLS LAST, id ASC NULLS LAST LIMIT 10::bigint/;

is(scalar(() = $plan =~ /$remote/g), 3, 'each server is asked for its nearest ten') or diag($plan);
is(scalar(() = $plan =~ /Async Foreign Scan/g), $front->pg_version < 15 ? 0 : 3, 'and from 15 on all at once') or diag($plan);
like($servers[0]->safe_psql('postgres', "SET enable_seqscan = off; EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY embedding <=> $seven, id LIMIT 10"),
	qr/Index Scan using items_embedding/, 'a server does so by its index');

# As a prepared statement, whose plan is made once
is(in_front($front, "SET plan_cache_mode = force_generic_plan; PREPARE nearest(real[]) AS SELECT id FROM (" .
		union_of('id, embedding <=> $1 AS distance', 'ORDER BY embedding <=> $1, id LIMIT 10') . " OFFSET 0) AS n ORDER BY distance, id LIMIT 10; EXECUTE nearest($seven)"),
	in_front($front, "SELECT id FROM whole ORDER BY embedding <=> $seven, id LIMIT 10"), 'a prepared statement');
like(in_front($front, "SET plan_cache_mode = force_generic_plan; PREPARE nearest(real[]) AS " . union_of('id, embedding <=> $1 AS distance', 'ORDER BY embedding <=> $1, id LIMIT 10') .
		"; EXPLAIN (VERBOSE, COSTS OFF) EXECUTE nearest($seven)"),
	qr/ORDER BY \(embedding OPERATOR\(public\.<=>\) \$1::real\[\]\) ASC NULLS LAST, id ASC NULLS LAST LIMIT 10/, 'and the parameter goes down');

# Filters and radii

answer_is($front, 'SELECT id, distance FROM (' . union_of("id, embedding <=> $seven AS distance", "WHERE tenant = 3 ORDER BY embedding <=> $seven, id LIMIT 10") . ' OFFSET 0) AS n ORDER BY distance, id LIMIT 10',
	"SELECT id, embedding <=> $seven FROM whole WHERE tenant = 3 ORDER BY 2, 1 LIMIT 10", 'a filter column');
answer_is($front, "SELECT id, embedding <=> $seven FROM items WHERE engram_cosine_within(embedding, $seven, 0.2) ORDER BY 2, 1",
	"SELECT id, embedding <=> $seven FROM whole WHERE (embedding <=> $seven) <= 0.2 ORDER BY 2, 1", 'a radius');
like(plan_of("SELECT id FROM items WHERE engram_cosine_within(embedding, $seven, 0.2)"), qr/Remote SQL: [^\n]*WHERE \(?\(?public\.engram_cosine_within\(embedding/, 'which goes down');

# Joins, functions and aggregates

answer_is($front, "SELECT target_id, distance FROM engram_knn_join('SELECT number, v FROM query', 'SELECT id, embedding FROM items', 5) ORDER BY query_id, rank",
	"SELECT target_id, distance FROM engram_knn_join('SELECT number, v FROM query', 'SELECT id, embedding FROM whole', 5) ORDER BY query_id, rank", 'engram_knn_join');
answer_is($front, "SELECT t.id, t.distance FROM query AS q, LATERAL (SELECT id, embedding <=> q.v AS distance FROM items ORDER BY embedding <=> q.v, id LIMIT 3) AS t ORDER BY q.number, 2, 1",
	"SELECT t.id, t.distance FROM query AS q, LATERAL (SELECT id, embedding <=> q.v AS distance FROM whole ORDER BY embedding <=> q.v, id LIMIT 3) AS t ORDER BY q.number, 2, 1", 'LATERAL');
answer_is($front, "SELECT m.id, m.distance FROM unnest((SELECT engram_nearest(id, embedding, (SELECT array_agg(v ORDER BY number) FROM query), 5) FROM items)) WITH ORDINALITY AS m (query, id, distance, place) ORDER BY place",
	"SELECT m.id, m.distance FROM unnest((SELECT engram_nearest(id, embedding, (SELECT array_agg(v ORDER BY number) FROM query), 5) FROM whole)) WITH ORDINALITY AS m (query, id, distance, place) ORDER BY place", 'engram_nearest of the partitioned table');
my $queries = "'" . in_front($front, 'SELECT array_agg(v ORDER BY number) FROM query') . "'::real[]";

# postgres_fdw takes no array of engram_match for a type of the extension, so what each
# server found of many queries comes by dblink.
my $lists = "SELECT l.matches FROM unnest('{s1,s2,s3}'::text[]) AS s (server), LATERAL dblink(s.server,
	format('SELECT engram_nearest(id, embedding, %L, 5) FROM items', $queries)) AS l (matches engram_match[])";

answer_is($front, "SELECT m.id, m.distance FROM unnest((SELECT engram_nearest_merge(matches, 5) FROM ($lists) AS l)) WITH ORDINALITY AS m (query, id, distance, place) ORDER BY place",
	"SELECT m.id, m.distance FROM unnest((SELECT engram_nearest(id, embedding, $queries, 5) FROM whole)) WITH ORDINALITY AS m (query, id, distance, place) ORDER BY place", 'engram_nearest_merge of what each server found');
foreach my $aggregate (qw(engram_sum engram_avg))
{
	like(plan_of("SELECT $aggregate(embedding) FROM items_1"), qr/Remote SQL: SELECT public\.$aggregate\(embedding\)/, "$aggregate of one server goes down");
	is(in_front($front, "SELECT $aggregate(embedding)::text FROM items"), in_front($front, "SELECT $aggregate(embedding)::text FROM whole"), "$aggregate, whatever the order of rows");
}
is(in_front($front, "SET enable_partitionwise_aggregate = on; SELECT string_agg(tenant || avg::text, ',' ORDER BY tenant) FROM (SELECT tenant, engram_avg(embedding) AS avg FROM items GROUP BY tenant) AS a"),
	in_front($front, "SELECT string_agg(tenant || avg::text, ',' ORDER BY tenant) FROM (SELECT tenant, engram_avg(embedding) AS avg FROM whole GROUP BY tenant) AS a"), 'centroids by tenant');

# Writes go to the server that they belong to, and its index knows them

sub whole_is_items
{
	my ($name) = @_;

	is(in_front($front, 'SELECT md5(string_agg(t::text, chr(10) ORDER BY id)) FROM items AS t'), in_front($front, 'SELECT md5(string_agg(t::text, chr(10) ORDER BY id)) FROM whole AS t'), $name);
	answer_is($front, "SELECT id, distance FROM ($ten OFFSET 0) AS n ORDER BY distance, id LIMIT 10", "SELECT id, embedding <=> $seven FROM whole ORDER BY 2, 1 LIMIT 10", "$name, the nearest");
	return;
}
in_front($front, "INSERT INTO $_ SELECT i, md5(i::text)::uuid, i % 7, vector_of(296) FROM generate_series(3001, 3050) AS i") foreach qw(whole items);
whole_is_items('INSERT');
in_front($front, "COPY $_ FROM STDIN;\n" . join("\n", map { "$_\t\\N\t1\t$vector" } 4000 .. 4020) . "\n\\.\n") foreach qw(whole items);
whole_is_items('COPY');
in_front($front, "UPDATE $_ SET embedding = vector_of(id + 1) WHERE id % 5 = 0") foreach qw(whole items);
whole_is_items('UPDATE of vectors');
in_front($front, "DELETE FROM $_ WHERE id BETWEEN 4003 AND 4010") foreach qw(whole items);
whole_is_items('DELETE');
is(join(' ', map { $_->safe_psql('postgres', 'SELECT count(*) FROM items WHERE id % 3 <> (SELECT id % 3 FROM items LIMIT 1)') } @servers), '0 0 0', 'each row is on its own server');
is(join(' ', map { $_->safe_psql('postgres', "SELECT engram_index_check('items_embedding') IS NOT NULL") } @servers), 't t t', 'every certificate is true there');

# A server that is down, and one with an older version

$servers[1]->stop('immediate');
like(front_error($front, "SELECT id FROM ($ten OFFSET 0) AS n"), qr/ERROR:  08001: could not connect to server "s2"/, 'a server that is down');
$servers[1]->start;
$servers[1]->safe_psql('postgres', "ALTER EXTENSION engramk UPDATE TO '1.8'");
whole_is_items('with an older version on one server');
answer_is($front, "SELECT id, distance FROM engram_fan_out('{s1,s2,s3}', 'SELECT id, embedding <=> \$1 FROM items ORDER BY embedding <=> \$1, id LIMIT 10', ARRAY[$seven\::text], 10)",
	"SELECT id, embedding <=> $seven FROM whole ORDER BY 2, 1 LIMIT 10", 'and a fan-out');
$servers[1]->safe_psql('postgres', 'ALTER EXTENSION engramk UPDATE');
$_->safe_psql('postgres', 'ALTER SYSTEM SET engramk.simd = off; SELECT pg_reload_conf()') foreach @servers;
whole_is_items('with SIMD off on all servers, and on at the front');

done_testing();
