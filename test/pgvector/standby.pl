# A standby gives the answers of its primary, and so does the primary after a crash,
# with logged and unlogged tables.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkPgvector;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = start_pgvector_node('primary', "wal_consistency_checking = 'generic'\nautovacuum = off",
	allows_streaming => 1);
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub right_on_both
{
	my ($name) = @_;

	$primary->wait_for_catchup($standby);
	answers_are_right($primary, $name);
	answers_are_right($standby, "$name, standby");
	return;
}

right_on_both('empty');
$primary->safe_psql('postgres', 'SELECT add_samples(1, 3000)');
right_on_both('inserts');
$primary->safe_psql('postgres', 'DELETE FROM item WHERE id % 3 = 0');
right_on_both('deletes');
$primary->safe_psql('postgres', 'VACUUM item');
right_on_both('a vacuum');
$primary->safe_psql('postgres', 'SELECT add_samples(20000, 2000)');
right_on_both('inserts into what it freed');
$primary->safe_psql('postgres', 'REINDEX TABLE item');
right_on_both('indexes that are built anew');

$primary->safe_psql('postgres', q{
	CREATE UNLOGGED TABLE forgotten (v vector(24));
	INSERT INTO forgotten SELECT sample(i) FROM generate_series(1, 1000) AS i;
	CREATE INDEX forgotten_v ON forgotten USING engramk (v vector_cosine_ops);});
$primary->stop('immediate');
$primary->start;
right_on_both('a crash');
my $forgotten = q{
	SET enable_seqscan = off;
	SELECT count(d) FROM (SELECT v <=> sample(5) AS d FROM forgotten ORDER BY v <=> sample(5)) AS s};
is($primary->safe_psql('postgres', $forgotten), 0, 'an unlogged index is empty after a crash');
$primary->safe_psql('postgres', 'INSERT INTO forgotten SELECT sample(i) FROM generate_series(1, 88) AS i');
is($primary->safe_psql('postgres', $forgotten), 88, 'and takes inserts');

$primary->stop('immediate');
$standby->promote;
$standby->safe_psql('postgres', 'SELECT add_samples(40000, 500)');
answers_are_right($standby, 'a standby that became a primary');

$standby->stop;
done_testing();
