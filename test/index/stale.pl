# engram_index_check looks at what is there now, whatever its session has read
# before: pages go bad on disk after they were read, and leave shared buffers.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use PostgreSQL::Test::Utils;
use Test::More;

# so few buffers that another table drives every page out
my $node = start_index_node('stale', "autovacuum = off\nshared_buffers = '1MB'", without_checksums => 1);
$node->safe_psql('postgres', qq{
	CREATE TABLE $_ AS SELECT i AS id, sample_vector(i) AS v FROM generate_series(1, 1100) AS i;
	CREATE INDEX ${_}_v ON $_ USING engramk (v);}) foreach qw(basis seal);
my @tables = qw(basis seal);
if (makes_format_3())
{
	$node->safe_psql('postgres', q{
		ALTER EXTENSION engramk UPDATE TO '1.8';
		CREATE TABLE filter AS SELECT * FROM basis;
		CREATE INDEX filter_v ON filter USING engramk (v, id);});
	push @tables, 'filter';
}
$node->safe_psql('postgres', q{
	CREATE TABLE filler AS SELECT i AS id, sample_vector(i) AS v FROM generate_series(1, 8000) AS i;
	CREATE INDEX filler_v ON filler USING engramk (v);});
is($node->safe_psql('postgres', q{SELECT basis > 0 FROM engram_index_info('basis_v')}), 't', 'there is a basis');

sub change_page
{
	my ($index, $block, $change) = @_;
	my $path = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$index')");
	my $page = substr(slurp_file($path), $block * 8192, 8192);

	length($page) == 8192 or die "$path: no block $block";
	$change->(\$page);
	overwrite($path, $block * 8192, $page);
	return;
}

# The first page with filter codes
sub filter_block
{
	my $file = slurp_file($node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('filter_v')"));

	foreach my $block (0 .. length($file) / 8192 - 1)
	{
		return $block if unpack('v', substr($file, $block * 8192 + 8176, 2)) == 6;
	}
	die 'no page with filter codes';
}

my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe('SET enable_seqscan = off');

sub read_all
{
	my ($table) = @_;

	return $session->query_safe("SELECT count(*) FROM (SELECT id FROM $table WHERE id > 0 ORDER BY v <-> sample_vector(3)) AS x");
}

# The session has seen all of it and found it sound
foreach my $table (@tables)
{
	is(read_all($table), 1100, "$table: the session reads it");
	is($session->query_safe("SELECT engram_index_check('${table}_v')"), 1100, "$table: and finds it sound");
}
$node->safe_psql('postgres', 'CHECKPOINT');

# Rows of a basis, and the code of a filter, under a seal that is right; and a place where no
# entry is, under one that is not
change_page('basis_v', 1, sub {
	my ($page) = @_;

	substr($$page, 24 + 1024, 1600) = pack('f<', 0.01) x 400;
	seal($page);
});
change_page('filter_v', filter_block(), sub {
	my ($page) = @_;

	substr($$page, 64, 1) ^= chr(1);
	seal($page);
}) if makes_format_3();
my $last = $node->safe_psql('postgres', q{SELECT pg_relation_size('seal_v') / 8192 - 1});
change_page('seal_v', $last, sub {
	my ($page) = @_;
	my $lower = unpack('v', substr($$page, 12, 2));

	substr($$page, $lower - 1, 1) ^= chr(1);
});
read_all('filler');

foreach my $table (@tables)
{
	$session->{stderr} = '';
	$session->query("SELECT engram_index_check('${table}_v')");
	like($session->{stderr}, qr/ERROR:  index "${table}_v" is corrupted/, "$table: what has become of it is found");
}
eval { $session->quit };
$node->stop;
done_testing();
