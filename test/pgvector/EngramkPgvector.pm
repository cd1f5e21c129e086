# What the tests with pgvector share: a server that has both extensions, and whether
# its answers are those of a sequential scan.
package EngramkPgvector;

use strict;
use warnings;

use Exporter 'import';
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(start_pgvector_node answers_are_right);

# A running server with the table and functions of answers.sql; what is more goes to init().
sub start_pgvector_node
{
	my ($name, $settings, %init) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(%init, extra => [ '--locale=C', '--encoding=UTF8' ]);
	$node->append_conf('postgresql.conf', $settings);
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION engramk_pgvector CASCADE');
	$node->safe_psql('postgres', slurp_file(dirname(__FILE__) . '/answers.sql'));
	return $node;
}

# A few rows, many and all of them, of queries near and far
sub answers_are_right
{
	my ($node, $name) = @_;

	is( $node->safe_psql('postgres', q{
			SELECT string_agg(finding, '; ')
			FROM unnest('{5,77,89,12345}'::int[]) AS query, unnest('{1,20,500,1000000}'::int[]) AS wanted,
				findings(query, wanted) AS finding}),
		'', "$name: right answers");
	is( $node->safe_psql('postgres', q{
			SELECT bool_and(engram_index_check(indexrelid) >= (SELECT count(*) FROM item))
			FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
			WHERE indrelid = 'item'::regclass AND amname = 'engramk'}),
		't', "$name: every row is in each index");
	return;
}

1;
