# A standby while its primary goes over to other bases: it gives right answers all the
# time, and after every record of the log, wherever it stops.  Promoted, it goes on with
# what VACUUM had begun, and with what an index had free.
#
# RECODE_STOPS says after how many records it is stopped.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'earlier formats have one basis for good' if !makes_format_3();

my $stops = $ENV{RECODE_STOPS} // 4;
my $dims = 64;
my $primary = start_index_node('primary', "wal_consistency_checking = 'generic'\nautovacuum = off\nwal_keep_size = '1GB'",
	allows_streaming => 1);
$primary->safe_psql('postgres', slurp_file("$FindBin::RealBin/model.sql"));
# Sections of 64 coarse pages, of which one is full; and an index that was created empty
$primary->safe_psql('postgres', qq{
	CREATE TABLE large AS SELECT n AS id, s.v FROM generate_series(1, 10000) AS n JOIN stock AS s ON s.kind = 0 AND s.i = n % 2500 + 1;
	CREATE INDEX large_v ON large USING engramk (v);
	CREATE TABLE item (id serial, v vec);
	CREATE INDEX item_v ON item USING engramk (v);
	INSERT INTO item (v) SELECT vectors_of(0, $dims, 2000);
	CREATE TABLE bare (id serial, v vec);
	CREATE INDEX bare_v ON bare USING engramk (v);
	INSERT INTO bare (v) SELECT vectors_of(0, $dims, 900);});
$primary->backup('base');

sub standby
{
	my ($name, $settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init_from_backup($primary, 'base', has_streaming => 1);
	$node->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\n$settings");
	return $node;
}

sub is_right
{
	my ($node, $name) = @_;
	my ($out, $err);

	$node->psql('postgres', "SELECT engram_index_check('item_v') = count(*) FROM item", stdout => \$out, stderr => \$err);
	is("$out$err", 't', "$name: every certificate is true");
	($out, $err) = ('', '');
	$node->psql('postgres', "SELECT all_differences('item', $dims, 1, 30), all_differences('item', $dims, 1, 1000000), (SELECT count(*) FROM engram_index_info('item_v'))",
		stdout => \$out, stderr => \$err);
	is("$out$err", '||1', "$name: right answers");
	return;
}

#
# Stopped after a record
#

sub begin_new_segment { return $primary->safe_psql('postgres', 'SELECT pg_switch_wal()'); }

# Where records of our pages end, of all and of those that change the metapage: of the
# index `item_v` only
sub ends_of
{
	my ($begin, $end) = @_;
	my $file = $primary->safe_psql('postgres', "SELECT pg_relation_filenode('item_v')");
	my ($out, $err) = run_command([ 'pg_waldump', '--rmgr', 'Generic', '--path', $primary->data_dir . '/pg_wal', '--start', $begin, '--end', $end ]);
	my (@all, @meta);

	foreach my $line (split /\n/, $out)
	{
		my ($lsn) = $line =~ m{lsn: ([0-9A-F]+/[0-9A-F]+)};

		next if $line !~ m{rel \d+/\d+/$file };
		push @all, $lsn;
		push @meta, $lsn if $line =~ m{rel \d+/\d+/$file (?:fork main )?blk 0\b};
	}
	return (\@all, \@meta);
}

my $stopped = standby('stopped', "recovery_target_action = 'pause'");
$stopped->start;
$primary->wait_for_catchup($stopped);
$stopped->stop;

begin_new_segment();
my $begin = $primary->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
$primary->safe_psql('postgres', 'VACUUM item');
is($primary->safe_psql('postgres', q{SELECT basis > 0 FROM engram_index_info('item_v')}), 't', 'VACUUM has found a basis');
my ($all, $meta) = ends_of($begin, begin_new_segment());
# room, a basis, its use, the pages, the end, and what was found
cmp_ok(scalar(@$meta), '>=', 4, 'the metapage was changed each time');
cmp_ok(scalar(@$all), '>', 10, 'and so were other pages');

# Before a record begins, that is; the first one is behind the room for a basis.
my %stop = ($all->[1] => 1);
foreach my $lsn (map { $all->[ int(rand(@$all)) ] } 2 .. $stops) { $stop{$lsn} = 1; }
foreach my $lsn (grep { $stop{$_} } @$all)
{
	$stopped->append_conf('postgresql.conf', "recovery_target_lsn = '$lsn'\nrecovery_target_inclusive = off");
	$stopped->start;
	$stopped->poll_query_until('postgres', "SELECT pg_get_wal_replay_pause_state() = 'paused'") or die 'the standby never stopped';
	is_right($stopped, "before the record at $lsn");
	$stopped->stop;
}

# From room for a basis, and no more, a new primary goes on.
my $successor = standby('successor', "recovery_target_action = 'promote'\nrecovery_target_lsn = '$all->[1]'\nrecovery_target_inclusive = off");
$successor->start;
$successor->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';
is_right($successor, 'promoted, with room for a basis');
$successor->safe_psql('postgres', "INSERT INTO item (v) SELECT vectors_of(0, $dims, 500)");
is_right($successor, 'after inserts');
$successor->safe_psql('postgres', 'VACUUM item');
is($successor->safe_psql('postgres', q{SELECT basis > 0, recoding FROM engram_index_info('item_v')}), 't|f', 'VACUUM goes on there');
is_right($successor, 'after VACUUM');
$successor->stop;

#
# Queries on a standby that replays
#

my $standby = standby('standby', '');
$standby->start;
my $script = PostgreSQL::Test::Utils::tempdir() . '/query.sql';
append_to_file($script, "\\set k random(1, 400)\nSELECT must_not_differ('item', $dims, 1, :k);\n");
my ($out, $err) = ('', '');
my $asking = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '2', '-T', ($ENV{RECODE_SECONDS} // 4), '-f', $script, $standby->connstr('postgres') ],
	'>', \$out, '2>', \$err);
my $rounds = 0;
my $recoded = 0;
my $before = '';
while ($asking->pumpable && $rounds < 1000)
{
	my $kind = ++$rounds % 3;

	$primary->safe_psql('postgres', "DELETE FROM item WHERE id % 5 > 0; INSERT INTO item (v) SELECT vectors_of($kind, $dims, 1400)");
	$primary->safe_psql('postgres', 'VACUUM item');
	my $basis = $primary->safe_psql('postgres', q{SELECT basis, widths, survivors_expected FROM engram_index_info('item_v')});
	$recoded++ if $basis ne $before;
	$before = $basis;
	$asking->pump_nb;
}
ok($asking->finish, 'queries on a standby never failed') or diag("$out$err");
unlike($err, qr/ERROR|FATAL|aborted/, 'and were never wrong');
cmp_ok($recoded, '>=', 2, 'while bases changed');
note("$recoded bases in $rounds rounds; $out");
$primary->wait_for_catchup($standby);
is_right($standby, 'after all that');

#
# VACUUM changes coarse and fine pages in one record, and a scan without coarse codes has
# both, too: in another order, they would wait for each other for ever.
#

my $bare = PostgreSQL::Test::Utils::tempdir() . '/bare.sql';
append_to_file($bare, "SET enable_sort = off;\nSELECT count(*) FROM (SELECT id FROM bare ORDER BY v <-> (SELECT v FROM stock WHERE i = 7 AND kind = 0) LIMIT 3) AS q;\n");
($out, $err) = ('', '');
my $scanning = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '4', '-T', 4, '-f', $bare, $standby->connstr('postgres') ],
	'>', \$out, '2>', \$err, IPC::Run::timeout(60));
for (my $round = 0; $round < 1000 && $scanning->pumpable; $round++)
{
	$primary->safe_psql('postgres', "WITH gone AS (DELETE FROM bare WHERE id % 7 = $round % 7 RETURNING *) INSERT INTO bare TABLE gone");
	$primary->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) bare');
	$scanning->pump_nb;
}
if (!ok(eval { $scanning->finish }, 'scans of a standby go on while it replays VACUUM'))
{
	# nothing else ends processes that wait for each other
	$standby->stop('immediate');
	BAIL_OUT("$out$err$@");
}
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT engram_index_check('bare_v')}), '900', 'every certificate is true');

#
# What was free on the primary is used by its successor.
#

$primary->safe_psql('postgres', 'DELETE FROM large WHERE id < 10000');
$primary->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) large');
$primary->wait_for_catchup($standby);
$primary->stop;
$standby->promote;
is_right($standby, 'promoted');
$standby->safe_psql('postgres', 'CREATE TABLE pages AS SELECT pages FROM engram_index_info($$large_v$$); DELETE FROM large');
$standby->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) large');
$standby->safe_psql('postgres', 'INSERT INTO large SELECT n AS id, s.v FROM generate_series(1, 9000) AS n JOIN stock AS s ON s.kind = 0 AND s.i = n % 2500 + 1');
is($standby->safe_psql('postgres', q{SELECT f.pages - p.pages FROM engram_index_info('large_v') AS f, pages AS p}), '0', 'the index has not grown');
is($standby->safe_psql('postgres', q{SELECT engram_index_check('large_v')}), '9000', 'and every certificate is true');
unlike(slurp_file($_->logfile), qr/TRAP:|PANIC:|inconsistent page found/, 'no page differed, and no process crashed') foreach ($standby, $stopped, $successor);
$standby->stop;
done_testing();
