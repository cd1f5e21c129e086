# A join in slices under several sessions: each slice is joined once and by one of them,
# whatever becomes of the others: a crash, a cancel, a timeout, the end of a session.  What
# was not finished is free, leaves nothing behind, and is joined later; so it is after a
# dump, and after the way to 1.8 and back.
#
# Each slice of the test has a gate, an advisory lock, at which a session waits inside the
# join while somebody holds it: nothing here depends on how fast the machine is.

use strict;
use warnings;

use Engramk;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('slices', 'restart_after_crash = on', 'wal_level = replica', 'max_wal_senders = 2');

$node->safe_psql('postgres', q{
	CREATE TABLE item AS
		SELECT i AS id, ARRAY[sin(i), cos(i), sin(i * 3), cos(i * 7)]::real[] AS v FROM generate_series(1, 1000) AS i;
	CREATE FUNCTION gate(id integer, v real[]) RETURNS real[] STABLE LANGUAGE plpgsql AS $$
	BEGIN
		IF id % 100 = 50 THEN
			PERFORM pg_advisory_xact_lock_shared(id / 100 + 1);
		END IF;
		RETURN v;
	END $$;
	GRANT SELECT ON item TO plain;
});

my $slices = 10;
my $progress = q{SELECT slices, finished, running, rows FROM engram_knn_join_progress('near')};
my $gates;
my @sessions;

# A new job of ten slices, of which those are held up that are named.
sub begin_job
{
	my (@held) = @_;

	$node->safe_psql('postgres', q{
		DROP TABLE IF EXISTS near_slices, near_terms, near;
		SELECT engram_knn_join_create('near', 'SELECT id, gate(id, v) FROM item', 'SELECT id, v FROM item', 5,
			slice_rows => 100, exclude_self => true);
		GRANT SELECT ON near_slices TO plain;
	});
	$gates = $node->background_psql('postgres', on_error_stop => 0);
	hold($_) foreach @held;
	return;
}

sub hold
{
	my ($slice) = @_;

	$gates->query("SELECT pg_advisory_lock($slice)");
	return;
}

sub release
{
	my ($slice) = @_;

	$gates->query("SELECT pg_advisory_unlock($slice)");
	return;
}

# Returns a session that runs the job, and its pid.
sub run_job
{
	my ($before) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '--set', 'VERBOSITY=verbose' ]);
	my $pid = $session->query('SELECT pg_backend_pid()');

	$session->query($before) if $before;
	$session->query_until(qr/begun/, "\\echo begun\nCALL engram_knn_join_run('near');\n");
	return ($session, $pid);
}

# Waits until each is at a gate.
sub wait_at_gates
{
	my (@pids) = @_;
	my $list = join ',', @pids;

	$node->poll_query_until('postgres', 'SELECT count(*) = ' . @pids . qq{ FROM pg_locks
		WHERE locktype = 'advisory' AND NOT granted AND pid IN ($list)})
	  or die 'no session came to the gate';
	return;
}

# Runs the job up to a slice.
sub hold_up_and_cancel
{
	my ($slice) = @_;

	$gates = $node->background_psql('postgres', on_error_stop => 0);
	hold($slice);
	my ($session, $pid) = run_job();
	wait_at_gates($pid);
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	eval { $session->query('SELECT 1') };
	$_->quit foreach ($session, $gates);
	return;
}

# The job is done, by one session if need be; and its result is that of the join at once.
sub is_right
{
	my ($what, $database) = @_;

	$database //= 'postgres';
	$node->safe_psql($database, q{CALL engram_knn_join_run('near')});
	is($node->safe_psql($database, $progress), "$slices|$slices|0|5000", "$what: everything is done");
	is($node->safe_psql($database, q{
		WITH mine AS (SELECT query_id, target_id, rank, float8send(distance) FROM near),
			at_once AS (SELECT query_id, target_id, rank, float8send(distance)
				FROM engram_knn_join('SELECT id, v FROM item', 'SELECT id, v FROM item', 5, exclude_self => true))
		SELECT count(*) FROM ((TABLE mine EXCEPT ALL TABLE at_once) UNION ALL (TABLE at_once EXCEPT ALL TABLE mine)) AS d}),
		'0', "$what: the rows and the bits of the join at once, each once");
	return;
}

# Only what was finished is there.
sub is_free
{
	my ($what, $finished) = @_;

	is($node->safe_psql('postgres', $progress), "$slices|$finished|0|" . $finished * 500, "$what: the slice is free");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM near}), $finished * 500, "$what: and has left nothing");
	return;
}

# Who finds nothing free ends, though another is at work still

begin_job(2);
my ($first, $first_pid) = run_job();
wait_at_gates($first_pid);
is($node->safe_psql('postgres', $progress), "$slices|1|1|500", 'one slice is finished, one runs');
my ($code, $as_plain) = query_as($node, 'plain', '', "$progress");
is($as_plain, "$slices|1|1|500", 'which everybody sees who may read the slices');
$node->safe_psql('postgres', q{CALL engram_knn_join_run('near')});
is($node->safe_psql('postgres', $progress), "$slices|9|1|4500", 'another session joins the others, and ends');
is($node->safe_psql('postgres', q{
	SELECT started_at <= (SELECT min(started_at) FROM near_slices), elapsed > '0', expected_end >= started_at + elapsed
	FROM engram_knn_join_progress('near')}), 't|t|t', 'it says when it began, and when it should end');
release(2);
is($first->query('SELECT 1'), '1', 'the first ends as well');
is($first->{stderr}, '', 'without an error');
$_->quit foreach ($first, $gates);
is_right('two sessions');

# Many at once, under another isolation; each has a slice before any goes on

begin_job(1 .. 4);
@sessions = map { [ run_job("SET default_transaction_isolation = 'serializable'") ] } 1 .. 4;
wait_at_gates(map { $_->[1] } @sessions);
is($node->safe_psql('postgres', $progress), "$slices|0|4|0", 'four slices run');
is($node->safe_psql('postgres', q{SELECT elapsed > '0', expected_end FROM engram_knn_join_progress('near')}), 't|',
	'and nobody knows how long they take');
release($_) foreach 1 .. 4;
foreach my $session (map { $_->[0] } @sessions)
{
	$session->query('SELECT 1');
	is($session->{stderr}, '', 'one of four sessions ends without an error');
	$session->quit;
}
is($node->safe_psql('postgres', 'SELECT count(DISTINCT pid) FROM near_slices'), '4', 'all have taken part');
$gates->quit;
is_right('four sessions');

# Interrupted

my %interrupt = (
	'cancel' => sub { $node->safe_psql('postgres', "SELECT pg_cancel_backend($_[0])") },
	'timeout' => sub { },
	'termination' => sub { $node->safe_psql('postgres', "SELECT pg_terminate_backend($_[0])") });
my %error = ('cancel' => '57014', 'timeout' => '57014', 'termination' => '57P01');

foreach my $what (sort keys %interrupt)
{
	# the time may be up in any slice but after the first gate
	my $held = $what eq 'timeout' ? 1 : 2;
	begin_job($held);
	my ($session, $pid) = run_job($what eq 'timeout' ? q{SET statement_timeout = '1s'} : undef);
	wait_at_gates($pid) if $what ne 'timeout';
	$interrupt{$what}->($pid);
	$node->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid AND state = 'active')")
	  or die 'it never ended';
	eval { $session->query('SELECT 1') } if $what ne 'termination';
	eval { $session->quit };
	sqlstate_is($session->{stderr}, $error{$what}, "$what: the error") if $what ne 'termination';
	is_free($what, $held - 1);
	release($held);
	$gates->quit;
	is_right($what);
}

# A crash, with two sessions at work

begin_job(2, 3);
@sessions = map { [ run_job() ] } 1 .. 2;
wait_at_gates(map { $_->[1] } @sessions);
is($node->safe_psql('postgres', $progress), "$slices|1|2|500", 'two slices run');
my $log_begin = -s $node->logfile;
is(kill('KILL', $sessions[0][1]), 1, 'one of the two is killed');
$node->wait_for_log(qr/all server processes terminated; reinitializing.*ready to accept connections/s, $log_begin);
eval { $_->quit } foreach ($gates, map { $_->[0] } @sessions);
is_free('crash', 1);

# The same job, further on: the way to 1.8 and back, and a dump

hold_up_and_cancel(5);
$node->safe_psql('postgres', q{ALTER EXTENSION engramk UPDATE TO '1.8'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM near}), '1000', 'the tables of a job survive the way to 1.8');
$code = $node->psql('postgres', q{CALL engram_knn_join_run('near')});
isnt($code, 0, 'where nothing runs it');
$node->safe_psql('postgres', q{ALTER EXTENSION engramk UPDATE TO '1.9'});
is_free('1.8 and back', 2);
my $dump = "$PostgreSQL::Test::Utils::tmp_check/slices.sql";
$node->command_ok([ 'pg_dump', '--file', $dump, 'postgres' ], 'it can be dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--file', $dump, 'restored' ],
	'and restored');
is_right('crash, 1.8 and back');
is_right('dump', 'restored');

# Dropped while it runs: that waits for the slice, and then there is no other

begin_job(2);
my ($orphan, $orphan_pid) = run_job();
wait_at_gates($orphan_pid);
my $dropper = $node->background_psql('postgres', on_error_stop => 0);
my $dropper_pid = $dropper->query('SELECT pg_backend_pid()');
$dropper->query_until(qr/begun/, "\\echo begun\nDROP TABLE near_slices, near_terms, near;\n");
$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = $dropper_pid)")
  or die 'the DROP did not wait';
release(2);
$orphan->query('SELECT 1');
sqlstate_is($orphan->{stderr}, '42P01', 'a session whose job was dropped has an error');
like($orphan->{stderr}, qr/relation "public\.near_slices" does not exist/, 'that says so');
$dropper->query('SELECT 1');
is($dropper->{stderr}, '', 'the DROP was not in its way');
$_->quit foreach ($orphan, $dropper);

# and made again, of other terms, before the session could see that it is gone

begin_job(2);
($orphan, $orphan_pid) = run_job();
wait_at_gates($orphan_pid);
$dropper = $node->background_psql('postgres', on_error_stop => 0);
$dropper_pid = $dropper->query('SELECT pg_backend_pid()');
$dropper->query_until(qr/begun/, "\\echo begun\nBEGIN; DROP TABLE near_slices, near_terms, near;
	SELECT engram_knn_join_create('near', 'SELECT id, v FROM item', 'SELECT id, v FROM item', 1); COMMIT;\n");
$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = $dropper_pid)")
  or die 'the DROP did not wait';
release(2);
$orphan->query('SELECT 1');
sqlstate_is($orphan->{stderr}, '42P01', 'a session whose job is another one has an error');
like($orphan->{stderr}, qr/join in slices "near" is another one by now/, 'that says so');
is($node->safe_psql('postgres', 'SELECT count(*) FROM near'), '0', 'and nothing of the old terms is in the new one');
$_->quit foreach ($orphan, $dropper, $gates);

# A standby shows how far it is, but not who works on it

begin_job();
hold_up_and_cancel(4);
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('slices_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $progress), "$slices|3||1500", 'a standby shows what is finished');
my $stderr;
$standby->psql('postgres', q{CALL engram_knn_join_run('near')},
	stderr => \$stderr, extra_params => [ '--set', 'VERBOSITY=verbose' ]);
sqlstate_is($stderr, '25006', 'it runs nothing');
$standby->promote;
$standby->safe_psql('postgres', q{CALL engram_knn_join_run('near')});
is($standby->safe_psql('postgres', $progress), "$slices|$slices|0|5000", 'but goes on when it is promoted');
$standby->stop;

$node->stop;
done_testing();
