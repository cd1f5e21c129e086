# What VACUUM costs others: it logs the pages of an index that it changed and no
# more, and does not drive what others use out of shared buffers.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_index_node('vacuum', 'autovacuum = off');
$node->safe_psql('postgres', "ALTER DATABASE postgres SET vacuum_buffer_usage_limit = '256kB'") if $node->{_pg_version} >= 16;

# Records of the log while a statement runs, those of our pages only
sub records_of
{
	my ($sql) = @_;
	my $begin = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');

	$node->safe_psql('postgres', $sql);
	my $end = $node->safe_psql('postgres', 'SELECT pg_switch_wal()');
	my ($out, $err) = run_command([ 'pg_waldump', '--rmgr', 'Generic', '--path', $node->data_dir . '/pg_wal', '--start', $begin, '--end', $end ]);
	return scalar(split /\n/, $out);
}

# Three pages of early NULLs, and a few coarse pages.  In the first formats VACUUM tells
# inserts on the first page what is free.
$node->safe_psql('postgres', q{
	CREATE TABLE item (id integer, v vec);
	CREATE INDEX item_v ON item USING engramk (v);
	INSERT INTO item SELECT -i, NULL FROM generate_series(1, 3000) AS i;
	INSERT INTO item SELECT i, ARRAY[i, 1] FROM generate_series(1, 1000) AS i;});
$node->safe_psql('postgres', 'DELETE FROM item WHERE id BETWEEN 1 AND 100');
my $first_page = makes_format_3() ? 0 : 1;
is(records_of('VACUUM (INDEX_CLEANUP on) item'), 1 + $first_page, 'the one page whose entries are dead');
$node->safe_psql('postgres', 'DELETE FROM item WHERE id = -1');
is(records_of('VACUUM (INDEX_CLEANUP on) item'), 1 + $first_page, 'the one page of early NULLs');
is($node->safe_psql('postgres', q{SELECT engram_index_check('item_v') = count(*) FROM item}), 't', 'the rest is there');

SKIP:
{
	skip 'pg_buffercache is not installed', 2
	  if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_buffercache'}) == 0;

	# more coarse pages than VACUUM has buffers: 32
	$node->safe_psql('postgres', q{
		CREATE EXTENSION pg_buffercache;
		CREATE TABLE large AS SELECT i AS id, sample_vector(i) AS v FROM generate_series(1, 20000) AS i;
		CREATE INDEX large_v ON large USING engramk (v);
		DELETE FROM large WHERE id % 10 = 0;});
	$node->restart;
	$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on, PARALLEL 0) large');
	cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM pg_buffercache WHERE relfilenode = pg_relation_filenode('large_v')}),
		'<', 64, 'VACUUM takes a few buffers and uses them again');
	is($node->safe_psql('postgres', q{SELECT engram_index_check('large_v')}), 18000, 'and has left the live entries');
}

$node->stop;
done_testing();
