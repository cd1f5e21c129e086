# VACUUM goes over to another basis and is interrupted: by a crash of the server or of
# its own process, a cancel, a timeout, somebody who wants the table.  Whatever became of
# it, answers are right, the check finds nothing, and the next VACUUM finishes.
# Autovacuum does all this of its own accord; and a table that nobody vacuums has right
# answers, too.
#
# RECODE_CRASHES says how many times the server crashes.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

plan skip_all => 'earlier formats have one basis for good' if !makes_format_3();

my $crashes = $ENV{RECODE_CRASHES} // 2;
my $dims = 32;
my $node = start_index_node('recode', "autovacuum = off\nrestart_after_crash = on\nshared_buffers = 16MB");
$node->safe_psql('postgres', slurp_file("$FindBin::RealBin/model.sql"));

# In small steps, so that there is a middle
# Rows of another kind, which make another basis worth its while
my $many = 6000;
my $slowly = 'SET vacuum_cost_delay = 1; SET vacuum_cost_limit = 15';

sub info { return $node->safe_psql('postgres', "SELECT $_[0] FROM engram_index_info('item_v')"); }

sub insert_of
{
	my ($kind, $many) = @_;

	return "INSERT INTO item (v) SELECT vectors_of($kind, $dims, $many)";
}

sub is_right
{
	my ($name) = @_;
	my ($out, $err);

	$node->psql('postgres', "SELECT engram_index_check('item_v') = count(*) FROM item", stdout => \$out, stderr => \$err);
	is("$out$err", 't', "$name: every certificate is true");
	is($node->safe_psql('postgres', "SELECT all_differences('item', $dims, 1, 30)"), '', "$name: right answers");
	is($node->safe_psql('postgres', "SELECT differs('item', (SELECT v[1:$dims]::vec FROM stock WHERE kind = 2 AND i = 99), 1000000)"), '', "$name: to the last row");
	return;
}

# The next VACUUM has nothing left to do but what was left.
sub finishes
{
	my ($name) = @_;

	$node->safe_psql('postgres', insert_of(3, 100));
	is($node->safe_psql('postgres', "SELECT all_differences('item', $dims, 1, 100)"), '', "$name: right answers after more inserts");
	$node->safe_psql('postgres', 'VACUUM item');
	is(info(q{recoding, basis > 0, slow_because && ARRAY['recoding', 'no basis', 'another basis']}), 'f|t|f', "$name: the next VACUUM finishes");
	is_right("$name, and after VACUUM");
	return;
}

# Waits until that is so, or until `over` is.
sub wait_for
{
	my ($session, $sql, $over) = @_;

	foreach my $attempt (1 .. 1000 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $session->query($sql) eq 't';
		return 0 if defined $over && $session->query($over) eq 't';
		usleep(1000);
	}
	die "never: $sql";
}

# Rows of another kind, so that VACUUM finds another basis; and a VACUUM that has begun
# to recode, as far as can be told.
my $kind = 0;
sub begin_to_recode
{
	my (@settings) = @_;

	$kind = ($kind + 1) % 3;
	$node->safe_psql('postgres', "DELETE FROM item WHERE id % 8 > 0; " . insert_of($kind, $many));
	my $vacuum = $node->background_psql('postgres', on_error_stop => 0);
	my $watch = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $vacuum->query('SELECT pg_backend_pid()');
	$vacuum->query($_) foreach @settings;
	$vacuum->query_until(qr/begun/, "\\echo begun\nVACUUM (PARALLEL 0) item;\n\\echo finished\n");
	my $recoding = wait_for($watch, "SELECT recoding FROM engram_index_info('item_v')",
		"SELECT state = 'idle' FROM pg_stat_activity WHERE pid = $pid");
	return ($vacuum, $watch, $pid, $recoding);
}

#
# Nobody vacuums, or VACUUM leaves indexes alone
#

$node->safe_psql('postgres', q{
	CREATE TABLE item (id serial, v vec, note integer);
	CREATE INDEX item_v ON item USING engramk (v);});
$node->safe_psql('postgres', insert_of(0, 3000));
is_right('an index that nobody has vacuumed');
$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP off) item');
is(info('basis'), '0', 'VACUUM without cleanup of indexes finds no basis');
$node->safe_psql('postgres', "DELETE FROM item WHERE id % 3 = 0; UPDATE item SET v = (v::real[])[1:$dims - 1] || 1::real WHERE id % 7 = 0 AND v IS NOT NULL");
$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP off) item');
$node->safe_psql('postgres', insert_of(1, 3000));
is_right('without cleanup of indexes');

my $before = $node->background_psql('postgres', on_error_stop => 0);
is($before->query(q{SELECT basis FROM engram_index_info('item_v')}), '0', 'a session sees no basis');
is($before->query(q{SELECT slow_because FROM engram_index_info('item_v')}), '{"no basis"}', 'and is told so');
$node->safe_psql('postgres', 'CREATE TABLE another AS SELECT * FROM item; CREATE INDEX another_v ON another USING engramk (v); TRUNCATE another; INSERT INTO another SELECT * FROM item');
my $last = $node->background_psql('postgres');
is($last->query_safe(q{SELECT basis FROM engram_index_info('another_v')}), '0', 'a table into which rows are only inserted');
$node->safe_psql('postgres', 'VACUUM another');
is($last->query_safe(q{SELECT basis > 0 FROM engram_index_info('another_v')}), 't', 'gets a basis, too');
$last->quit;
is($node->safe_psql('postgres', "SELECT engram_index_check('another_v') = count(*) FROM another"), 't', 'of which every certificate is true');
is($node->safe_psql('postgres', "SELECT all_differences('another', $dims, 2, 1000)"), '', 'with right answers');
$node->safe_psql('postgres', 'DROP TABLE another');
$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) item');
is($before->query(q{SELECT basis > 0 FROM engram_index_info('item_v')}), 't', 'and a basis once VACUUM has found one');
$before->quit;
is_right('with cleanup of indexes');

#
# Crashes
#

# Those that come too late do not count for much: so there are a few more if all did.
my $middle = 0;
for (my $crash = 1; $crash <= $crashes || ($middle == 0 && $crash <= $crashes + 10); $crash++)
{
	my $by_process = $crash % 2 == 0;
	my $name = "crash $crash, of " . ($by_process ? 'the process' : 'the server');
	my ($vacuum, $watch, $pid, $recoding) = begin_to_recode($slowly);

	my $in_log = rand() < 0.5;

	$watch->query('CHECKPOINT') if rand() < 0.3;
	# somewhere in it; what was not written of the log has not happened
	$watch->query(q{SELECT pg_logical_emit_message(true, 'recode', '')}) if $in_log;
	usleep(int(rand($in_log ? 5_000 : 200_000)));
	if ($by_process)
	{
		my $started = $watch->query('SELECT pg_postmaster_start_time(), (SELECT max(backend_start) FROM pg_stat_activity WHERE backend_type = $$checkpointer$$)');

		kill(9, $pid);
		eval { $_->quit } foreach ($vacuum, $watch);
		$node->poll_query_until('postgres', "SELECT backend_start > '" . (split(/\|/, $started))[1] . "' FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
		  or die 'the server did not come back';
	}
	else
	{
		$node->stop('immediate');
		eval { $_->quit } foreach ($vacuum, $watch);
		$node->start;
	}
	$middle++ if info('recoding') eq 't';
	is_right($name);
	finishes($name);
}
cmp_ok($middle, '>=', 1, 'a crash came while pages were recoded');
note("$middle of $crashes");

#
# A cancel, and sessions that know the index from before
#

my $others = $node->background_psql('postgres', on_error_stop => 0);
my $reader = $node->background_psql('postgres');
$others->query_safe("SELECT all_differences('item', $dims, 1, 10)");
my ($vacuum, $watch, $pid, $recoding);
$reader->query_safe($_) foreach ('BEGIN ISOLATION LEVEL REPEATABLE READ', 'CREATE TEMP TABLE got (n serial, id integer, d float8)',
	"CREATE TEMP TABLE truth AS SELECT id, v <-> array_fill(0.5::real, ARRAY[$dims]) AS d FROM item",
	"SET LOCAL enable_seqscan = off", "SET LOCAL enable_sort = off", "SET LOCAL engramk.arena_size = '64kB'",
	"DECLARE c CURSOR FOR SELECT id, v <-> array_fill(0.5::real, ARRAY[$dims]) AS d FROM item ORDER BY v <-> array_fill(0.5::real, ARRAY[$dims])",
	"SELECT take('c', 100)");
# it may end before it is cancelled; one of a few will not.  The cursor's snapshot keeps the
# vectors of before, so it takes more to outweigh them.
$many = 20000;
foreach my $attempt (1 .. 10)
{
	$_->quit foreach grep { defined } ($vacuum, $watch);
	($vacuum, $watch, $pid, $recoding) = begin_to_recode($slowly);
	$watch->query("SELECT pg_cancel_backend($pid)");
	$vacuum->query('SELECT 1');
	last if info('recoding') eq 't';
}
is(info('recoding'), 't', 'a cancel in the middle');
$many = 6000;
is_right('a cancel');
$others->{stderr} = '';
$others->query(insert_of(2, 200));
$others->query(insert_of(0, 200));
is($others->query("SELECT all_differences('item', $dims, 2, 100)") . $others->{stderr}, '', 'right answers in that session');
is($reader->query_safe("SELECT take('c', 500)"), '500', 'a cursor goes on');
finishes('a cancel');
$reader->query_safe("SELECT take('c', 1000000)");
is($reader->query_safe('SELECT has_all()'), 'right', 'and has returned what its snapshot has');
$_->quit foreach ($vacuum, $watch, $reader, $others);

# A timeout, wherever it comes
foreach my $timeout (50, 200)
{
	($vacuum, $watch, $pid, $recoding) = begin_to_recode($slowly, "SET statement_timeout = $timeout");
	$vacuum->query('SELECT 1');
	is_right("a timeout of $timeout ms");
	finishes("a timeout of $timeout ms");
	$_->quit foreach ($vacuum, $watch);
}

#
# Beside what makes and drops indexes
#

$others = $node->background_psql('postgres', on_error_stop => 0);
($vacuum, $watch, $pid, $recoding) = begin_to_recode($slowly);
$others->{stderr} = '';
$others->query('CREATE INDEX CONCURRENTLY item_w ON item USING engramk (v)');
is($others->{stderr}, '', 'an index is built concurrently');
$vacuum->quit;
is_right('two indexes');
($vacuum, undef, $pid, $recoding) = begin_to_recode($slowly);
$others->query('REINDEX INDEX CONCURRENTLY item_v');
$others->query('DROP INDEX CONCURRENTLY item_w');
is($others->{stderr}, '', 'an index is built anew, and another is dropped');
$_->quit foreach ($vacuum, $watch, $others);
is_right('a new index');
finishes('a new index');

# A new index needs no other basis, whatever rows it has.
$node->safe_psql('postgres', "CREATE TABLE sparse AS SELECT n AS id, CASE WHEN n % 3 > 0 THEN s.v END AS v FROM generate_series(1, 4000) AS n JOIN stock AS s ON s.kind = 0 AND s.i = n % 2000 + 1;"
	  . 'CREATE INDEX sparse_v ON sparse USING engramk (v)');
is($node->safe_psql('postgres', q{SELECT slow_because FROM engram_index_info('sparse_v')}), '{}', 'nor does one with many NULLs');
$node->safe_psql('postgres', 'DROP TABLE sparse');

#
# Autovacuum
#

$node->append_conf('postgresql.conf', "autovacuum = on\nautovacuum_naptime = 1\nautovacuum_vacuum_cost_delay = 0");
$node->safe_psql('postgres', q{
	DROP TABLE item;
	CREATE TABLE item (id serial, v vec, note integer);
	CREATE INDEX item_v ON item USING engramk (v);});
$node->reload;
$node->safe_psql('postgres', insert_of(0, 4000));
ok($node->poll_query_until('postgres', q{SELECT basis > 0 AND NOT recoding FROM engram_index_info('item_v')}), 'autovacuum finds a basis');
is_right('autovacuum');

# Somebody wants the table while it recodes.
$node->append_conf('postgresql.conf', "autovacuum_vacuum_cost_delay = 2\nautovacuum_vacuum_cost_limit = 20");
$node->reload;
$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 8 > 0; ' . insert_of(1, 6000));
my $hand = $node->background_psql('postgres', on_error_stop => 0);
wait_for($hand, q{SELECT recoding FROM engram_index_info('item_v')});
$hand->query("SET deadlock_timeout = '1ms'");
$hand->query('ALTER TABLE item ALTER note SET DEFAULT 5');
is($hand->query(q{SELECT recoding FROM engram_index_info('item_v')}), 't', 'autovacuum gives way');
is_right('autovacuum, interrupted');
$node->append_conf('postgresql.conf', 'autovacuum_vacuum_cost_delay = 0');
$node->reload;
$hand->query('DELETE FROM item WHERE id % 5 = 0');
ok($node->poll_query_until('postgres', q{SELECT basis > 0 AND NOT recoding FROM engram_index_info('item_v')}), 'and finishes later');
is_right('autovacuum, again');
$hand->quit;

unlike(slurp_file($node->logfile), qr/TRAP:|PANIC:|terminated by signal (?!9)/, 'no process crashed of its own accord');
$node->stop;
done_testing();
