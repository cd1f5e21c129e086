# A streaming standby gives the answers of its primary.  While it replays, with
# wal_consistency_checking, it compares each page with the primary's: a
# difference is fatal to it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = start_index_node('primary', "wal_consistency_checking = 'generic'\nautovacuum = off",
	allows_streaming => 1);
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub equal_on_both
{
	my ($name) = @_;
	my $bits = q{SELECT md5(string_agg(float8send(d)::text, '')) FROM (SELECT v <=> sample_vector(5) AS d FROM item ORDER BY v <=> sample_vector(5)) x};

	$primary->wait_for_catchup($standby);
	is($standby->safe_psql('postgres', answers_of('item', 100)), '', "$name: right answers on the standby");
	is($standby->safe_psql('postgres', answers_of('item', 1000000)), '', "$name: to the last row");
	is($standby->safe_psql('postgres', "SET enable_seqscan = off; $bits"), $primary->safe_psql('postgres', "SET enable_seqscan = off; $bits"),
		"$name: the primary's, bit for bit");
	is($standby->safe_psql('postgres', "SELECT engram_index_check('item_v')"), $primary->safe_psql('postgres', "SELECT engram_index_check('item_v')"),
		"$name: every certificate is true there");
	return;
}

$primary->safe_psql('postgres', q{
	CREATE TABLE item (id serial, v vec);
	CREATE INDEX item_v ON item USING engramk (v);
	INSERT INTO item (v) SELECT NULL FROM generate_series(1, 2000);});
equal_on_both('an empty index, NULLs');
$primary->safe_psql('postgres', 'INSERT INTO item (v) SELECT sample_vector(i) FROM generate_series(1, 6000) i');
equal_on_both('inserts');
$primary->safe_psql('postgres', 'DELETE FROM item WHERE id % 3 = 0');
$primary->safe_psql('postgres', 'VACUUM item');
equal_on_both('a vacuum');
$primary->safe_psql('postgres', 'INSERT INTO item (v) SELECT sample_vector(i) FROM generate_series(20000, 23000) i');
equal_on_both('inserts into what it freed');
$primary->safe_psql('postgres', 'REINDEX INDEX item_v');
equal_on_both('a new index');
$primary->safe_psql('postgres', 'INSERT INTO item (v) SELECT sample_vector(i) FROM generate_series(30000, 31000) i');
equal_on_both('inserts into that');

# An unlogged index has no pages there.
$primary->safe_psql('postgres', q{
	CREATE UNLOGGED TABLE forgotten (v vec);
	CREATE INDEX forgotten_v ON forgotten USING engramk (v);});
$primary->wait_for_catchup($standby);
foreach my $function (qw(engram_index_check engram_index_info))
{
	my ($out, $err);
	$standby->psql('postgres', "SELECT $function('forgotten_v')", stdout => \$out, stderr => \$err);
	like($err, qr/ERROR:  cannot access temporary or unlogged relations during recovery/, "$function of an unlogged index on a standby");
}

# A scan of the standby that stands still while the primary vacuums
my $cursor = $standby->background_psql('postgres');
$cursor->query_safe("SET enable_seqscan = off");
$cursor->query_safe("SET engramk.arena_size = '64kB'");
$cursor->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ");
my $rows = $cursor->query_safe("SELECT count(*) FROM item");
$cursor->query_safe("DECLARE c CURSOR FOR SELECT id FROM item ORDER BY v <-> sample_vector(3)");
$cursor->query_safe("FETCH 1 FROM c");
$primary->safe_psql('postgres', 'INSERT INTO item (v) SELECT sample_vector(i) FROM generate_series(40000, 41000) i');
$primary->wait_for_catchup($standby);
is(scalar(split(/\n/, $cursor->query_safe("FETCH ALL FROM c"))), $rows - 1, 'a cursor on the standby goes on');
$cursor->quit;

# The standby becomes a primary.
$standby->promote;
$standby->safe_psql('postgres', 'INSERT INTO item (v) SELECT sample_vector(i) FROM generate_series(50000, 51000) i');
is($standby->safe_psql('postgres', answers_of('item', 1000000)), '', 'right answers after promotion and inserts');
is($standby->safe_psql('postgres', "SELECT engram_index_check('item_v') = count(*) FROM item"), 't',
	'every certificate is true');
unlike(slurp_file($standby->logfile), qr/inconsistent page found/, 'no page differed');
$_->stop foreach ($standby, $primary);
done_testing();
