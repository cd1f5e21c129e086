# The way from hnsw: a dump in which one word is changed restores, and everything is
# answered as before, with the rows that hnsw left out besides.  And such a database is
# dumped and restored like any other.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
my $dumps = PostgreSQL::Test::Utils::tempdir();
my $indexes = q{SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname};

$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->start;
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(hnsw changed restored beside);

$node->safe_psql('hnsw', q{
	CREATE EXTENSION vector;
	CREATE TABLE item (id int PRIMARY KEY, kind int, v vector(8), h halfvec(8));
	INSERT INTO item SELECT i, i % 5, s.v, s.v
	FROM generate_series(1, 600) AS i,
		LATERAL (SELECT array_agg(sin(i * j)::real)::vector AS v FROM generate_series(1, 8) AS j) AS s;
	UPDATE item SET v = NULL WHERE id % 50 = 0;
	UPDATE item SET v = array_fill(0, '{8}') WHERE id % 50 = 1;
	CREATE INDEX item_cosine ON item USING hnsw (v vector_cosine_ops) WITH (m = 8, ef_construction = 32);
	CREATE INDEX item_l2 ON item USING hnsw (v vector_l2_ops);
	CREATE INDEX item_h ON item USING hnsw (h halfvec_ip_ops) WITH (ef_construction = 100);
	CREATE INDEX item_cast ON item USING hnsw ((v::halfvec(8)) halfvec_l2_ops);
	CREATE INDEX item_kind ON item USING hnsw (v vector_ip_ops) WHERE kind = 3;
	CREATE TABLE parent (id int, v vector(8)) PARTITION BY HASH (id);
	CREATE TABLE part_0 PARTITION OF parent FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE part_1 PARTITION OF parent FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE INDEX parent_v ON parent USING hnsw (v vector_cosine_ops) WITH (m = 4);
	INSERT INTO parent SELECT id, v FROM item;});

# One word
$node->command_ok([ 'pg_dump', '-d', 'hnsw', '-f', "$dumps/hnsw.sql" ], 'a database with hnsw is dumped');
my $dump = slurp_file("$dumps/hnsw.sql");
my $changed = () = $dump =~ /USING hnsw/g;
is($changed, 8, 'it has indexes of hnsw');
$dump =~ s/USING hnsw/USING engramk/g;
append_to_file("$dumps/changed.sql", $dump);
$node->safe_psql('changed', 'CREATE EXTENSION engramk_pgvector CASCADE');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'changed', '-f', "$dumps/changed.sql" ],
	'the changed dump is restored');

# A dump of that, by one process and by two
$node->command_ok([ 'pg_dump', '-F', 'd', '-d', 'changed', '-f', "$dumps/changed" ], 'the database is dumped');
$node->command_ok([ 'pg_restore', '-e', '-d', 'restored', "$dumps/changed" ], 'and restored');
$node->command_ok([ 'pg_restore', '-e', '-j', 2, '-d', 'beside', "$dumps/changed" ], 'and by two processes');
foreach my $database (qw(restored beside))
{
	is($node->safe_psql($database, $indexes), $node->safe_psql('changed', $indexes),
		"$database: the indexes are defined as they were");
}

# Each answer is that of the sort in the first database.
my $query = q{(SELECT v FROM item WHERE id = 77)};
my @answers = (
	[ 'item_cosine', "v <=> $query", 'item' ],
	[ 'item_l2', "v <-> $query", 'item' ],
	[ 'item_h', 'h <#> (SELECT h FROM item WHERE id = 77)', 'item' ],
	[ 'item_cast', "v::halfvec(8) <-> $query\::halfvec(8)", 'item' ],
	[ 'item_kind', "v <#> $query", 'item WHERE kind = 3' ],
	[ 'part_0_v_idx', "v <=> $query", 'parent' ]);
foreach my $database (qw(changed restored beside))
{
	foreach my $answer (@answers)
	{
		my ($index, $distance, $source) = @$answer;
		my $rows = "SELECT $distance AS d FROM $source ORDER BY $distance";
		my $all = "SELECT array_agg(d) FROM ($rows) AS s";
		my $by_index = 'SET enable_seqscan = off; SET enable_sort = off;';

		like($node->safe_psql($database, "$by_index EXPLAIN (COSTS OFF) $rows"), qr/Index Scan using $index/,
			"$database: $index is used");
		is( $node->safe_psql($database, "$by_index $all"),
			$node->safe_psql('hnsw', "SET enable_indexscan = off; $all"),
			"$database: $index gives every row in order");
	}
}

$node->stop;
done_testing();
