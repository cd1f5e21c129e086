# The drill: every way back is walked under load, timed and checked.  Called by
# run.sh, beside a throwaway server.
#
# RTO: seconds that a way back may take from the decision until no statement
# starts at the old level.  CYCLES: how often to go down and up a version.  CLIENTS:
# sessions that stay all the while.  RATE: queries a second, or nothing for as many as
# they can.
#
# Exits with 0 if every check holds and no way took longer.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Catalog;
use File::Copy qw(copy);
use List::Util qw(max);
use Load;
use Session;
use Time::HiRes qw(time);
use Ways;

my ($old, $new) = @ENV{qw(ENGRAMK_OLD_VERSION ENGRAMK_NEW_VERSION)};
my $rto = $ENV{RTO};
my $cycles = $ENV{CYCLES};
my $library = $ENV{LIBRARY};

# What the newer version brought, by name, and its number.
my $changed = qr/engram_nearest_merge|engram_(uuid_)?fan_out|engram_knn_join_(create|run|progress)|^. extension \|/;

# Indexes, which both versions have: that of a type of pgvector where this is installed.
my %index = (
	word_embedding => { format => 4, of => 'embedding, tenant' },
	word_vector => { format => 5, of => 'vector vector_cosine_ops' });
my @indexes = ('word_embedding');

# By the foreign server of setup.sql
my $fan_out = <<'SQL';
SELECT string_agg(id || ' ' || encode(float8send(distance), 'hex'), ',' ORDER BY distance, id)
	= (SELECT answer FROM expected WHERE kind = 'nearest' AND query = 7)
FROM engram_fan_out('{drill_itself}', 'SELECT id, embedding <=> $1 FROM word ORDER BY embedding <=> $1, id LIMIT 10',
	ARRAY[(SELECT embedding::text FROM word WHERE id = 7)], 10)
SQL

my @databases = qw(drill drill_two);
my $clients = $ENV{CLIENTS};
my $reconnecting = 2;
my @kinds = qw(distances batches nearest by_index of_tenant);

my $monitor;
my $best;
my $census;
$| = 1;

# Checks

sub check_same
{
	my ($before, $after, $what) = @_;
	my @difference = difference_of($before, $after);

	check(!@difference, $what, @difference);
	return scalar @difference;
}

sub server_time { return $monitor->run('SELECT clock_timestamp()'); }

# The load

# Sessions that stay, and two that connect anew for every query.
sub start_load
{
	my (%option) = @_;
	my %common = (database => 'drill', scripts => \@kinds, rate => $ENV{RATE}, %option);
	my @loads = (
		Load->new(%common, clients => $clients, user => 'drill_app', application => 'drill_stay'),
		Load->new(database => 'drill_two', scripts => $common{scripts}, clients => $reconnecting, rate => $ENV{RATE},
			user => 'drill_canary', application => 'drill_reconnect', reconnect => 1));

	wait_until('every client runs', sub {
		$monitor->run(<<"SQL") eq 't' });
SELECT count(*) FILTER (WHERE application_name = 'drill_stay') = $clients
	AND count(*) FILTER (WHERE application_name = 'drill_reconnect') > 0
FROM pg_stat_activity
WHERE query LIKE '%IS DISTINCT FROM%' AND application_name LIKE 'drill\\_%'
SQL
	let_load_go_on();
	return @loads;
}

# Until every client that stays has begun another statement.
sub let_load_go_on
{
	my $moment = server_time();

	wait_until('every client goes on', sub {
		$monitor->run(<<"SQL") eq $clients });
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'drill_stay' AND query_start > '$moment'
SQL
	return;
}

# Ends a step: a line of the table from its load, its seconds and what else.
sub finish_step
{
	my ($name, $seconds, $apart, $catalog, @loads) = @_;
	my @became = finish_load(\@databases, @loads);

	check($seconds <= $rto, sprintf('within %g s', $rto), sprintf('%.3f s', $seconds));
	add_way($name, $seconds, @became, $catalog, $apart);
	return;
}

sub add_way
{
	my ($name, $seconds, @rest) = @_;

	add_row($name, sprintf('%.3f', $seconds), @rest);
	return;
}

# Levels

# Sessions of the load that compute with another level than the given.
sub elsewhere
{
	my ($level, $condition) = @_;

	return $monitor->run(<<"SQL");
SELECT count(*) FROM engram_stat_backends AS b JOIN pg_stat_activity AS a USING (pid)
WHERE b.level <> '$level' AND a.application_name LIKE 'drill\\_%' AND $condition
SQL
}

sub level_of
{
	my ($session) = @_;

	return $monitor->run('SELECT level FROM engram_stat_backends WHERE pid = ' . $session->pid);
}

# From a session that has never loaded the library, as the runbook says.
sub switch_cluster
{
	my ($command) = @_;
	my $session = Session->new(database => 'postgres');

	$session->run($_) foreach "LOAD 'engramk'", $command, 'SELECT pg_reload_conf()';
	return;
}

# Stored settings that outrank ALTER SYSTEM, as commands that take them away.
my $outranking = <<'SQL';
SELECT format('ALTER %s RESET engramk.simd',
	CASE WHEN setrole = 0 AND setdatabase = 0 THEN 'ROLE ALL'
		WHEN setrole = 0 THEN format('DATABASE %I', datname)
		WHEN setdatabase = 0 THEN format('ROLE %I', rolname)
		ELSE format('ROLE %I IN DATABASE %I', rolname, datname) END)
FROM pg_db_role_setting
	LEFT JOIN pg_roles AS r ON r.oid = setrole
	LEFT JOIN pg_database AS d ON d.oid = setdatabase
WHERE EXISTS (SELECT FROM unnest(setconfig) AS s WHERE s LIKE 'engramk.simd=%' AND s <> 'engramk.simd=off')
ORDER BY 1
SQL

sub step_off_for_cluster
{
	print "Way 1: simd = off for the cluster\n";
	my @loads = start_load();

	$monitor->run('ALTER ROLE drill_pinned SET engramk.simd = on');
	$monitor->run('ALTER DATABASE drill_two SET engramk.simd = on');
	my $idle = Session->new(database => 'drill', user => 'drill_app');
	my $pinned = Session->new(database => 'drill', user => 'drill_pinned');
	$_->run("SELECT '{1,2}'::real[] <=> '{2,1}'") foreach $idle, $pinned;
	wait_until("the load is at $best", sub { elsewhere($best, 'true') == 0 });

	my $decision = time();
	switch_cluster('ALTER SYSTEM SET engramk.simd = off');
	my @commands = split /\n/, $monitor->run($outranking);
	my $moment = server_time();
	$monitor->run($_) foreach @commands;
	wait_until('no statement starts at the old level', sub {
		elsewhere('scalar', "(application_name = 'drill_stay' OR backend_start > '$moment')") == 0 });
	my $seconds = time() - $decision;

	check_same([ 'ALTER DATABASE drill_two RESET engramk.simd', 'ALTER ROLE drill_pinned RESET engramk.simd' ],
		\@commands, 'settings that outrank it were found');
	check($monitor->run($outranking) eq '', 'and are gone');

	check(level_of($idle) eq $best, 'an idle session shows the level of its last statement');
	$idle->run('SELECT 1');
	check(level_of($idle) eq 'scalar', 'and changes at its next one');

	$pinned->run('SELECT 1');
	check(level_of($pinned) eq $best, 'a session that began with a setting of its role keeps it');
	$monitor->run('SELECT pg_terminate_backend(' . $pinned->pid . ')');
	$pinned = Session->new(database => 'drill', user => 'drill_pinned');
	check($pinned->run("SELECT engram_norm('{3,4}'), setting FROM pg_settings WHERE name = 'engramk.simd'")
		  eq '5|off', 'until it connects again');

	let_load_go_on();
	check(elsewhere('scalar', 'true') == 0, 'the load stays there');
	finish_step('1: off, cluster', $seconds, '1 idle, 1 pinned by its role', '-', @loads);
	return;
}

sub step_on_for_cluster
{
	print "Way 1, forward again\n";
	my @loads = start_load();
	my $decision = time();

	switch_cluster('ALTER SYSTEM RESET engramk.simd');
	wait_until('no statement starts at scalar',
		sub { elsewhere($best, "application_name = 'drill_stay'") == 0 });
	my $seconds = time() - $decision;

	let_load_go_on();
	finish_step('1: on again, cluster', $seconds, '-', '-', @loads);
	return;
}

# Of a role or of a database: sessions that begin from now on.
sub step_off_for
{
	my ($target) = @_;

	print "Way 1: simd = off for $target\n";
	my @loads = start_load();
	my $decision = time();

	Session->new(database => 'postgres')->run("LOAD 'engramk'; ALTER $target SET engramk.simd = off");
	my $moment = server_time();
	wait_until('new sessions compute with scalar', sub {
		$monitor->run(<<"SQL") eq 't' });
SELECT count(*) > 0 FROM engram_stat_backends AS b JOIN pg_stat_activity AS a USING (pid)
WHERE a.application_name = 'drill_reconnect' AND a.backend_start > '$moment' AND b.level = 'scalar'
SQL
	my $seconds = time() - $decision;

	let_load_go_on();
	check(elsewhere('scalar', "application_name = 'drill_reconnect' AND backend_start > '$moment'") == 0,
		'new sessions stay there');
	check(elsewhere($best, "application_name = 'drill_stay'") == 0, 'others stay where they were');
	my $session = Session->new(database => 'drill_two', user => 'drill_canary');
	$session->run("SELECT engram_norm('{3,4}')");
	check(level_of($session) eq 'scalar', 'a new session is at scalar');
	$monitor->run("ALTER $target RESET engramk.simd");
	$session = Session->new(database => 'drill_two', user => 'drill_canary');
	$session->run("SELECT engram_norm('{3,4}')");
	check(level_of($session) eq $best, 'and a later one is not');
	finish_step('1: off, one ' . lc((split / /, $target)[0]), $seconds, 'sessions from before', '-', @loads);
	return;
}

# Versions

sub update_everywhere
{
	my ($version) = @_;

	foreach my $database (split /\n/, $monitor->run('SELECT datname FROM pg_database WHERE datallowconn'))
	{
		my $session = Session->new(database => $database);
		update($session, $version) if version_in($session);
	}
	return;
}

sub update
{
	my ($session, $version) = @_;

	$session->run("SET lock_timeout = '2s'");
	return $session->run("ALTER EXTENSION engramk UPDATE TO '$version'");
}

sub version_in
{
	my ($session) = @_;

	return $session->run("SELECT extversion FROM pg_extension WHERE extname = 'engramk'");
}

# What a fresh installation of a version looks like.
sub fresh_catalog
{
	my ($version) = @_;

	$monitor->run('CREATE DATABASE drill_fresh');
	my $session = Session->new(database => 'drill_fresh');
	$session->run("CREATE EXTENSION engramk VERSION '$version'");
	my $catalog = extension_catalog($session);
	$session->close;
	$monitor->run('DROP DATABASE drill_fresh');
	return $catalog;
}

# Starts reader.pl.  What it returns ends it, and returns how often there was which outcome.
sub start_reader
{
	my ($name, @queries) = @_;
	my $file = "$ENV{DRILL_SCRATCH}/$name";
	my $process = fork() // die "fork: $!\n";

	if ($process == 0)
	{
		exec $^X, "$FindBin::Bin/reader.pl", $file, @queries or die "reader.pl: $!\n";
	}
	return sub {
		kill 'TERM', $process;
		waitpid($process, 0);
		my %count = map { /^(\d+) (.*)/ ? ($2 => $1) : () } split /\n/, Load::slurp($file);
		return \%count;
	};
}

# Whoever asks for what is not there is told so, or else answered, and rightly.  PostgreSQL
# holds no lock on a function between looking it up and calling it: what is dropped in that
# moment it says in words of its own.
sub check_fan_out_reader
{
	my ($read) = @_;
	my $answered = $read->{'00000 t'} // 0;
	my @wrong = grep { !/^00000 t$|^42883 function engram_fan_out\(.*\) does not exist$|^XX000 cache lookup failed for function \d+$/ } keys %$read;

	print "    $read->{$_} times $_\n" foreach sort keys %$read;
	check($answered > 0 && !@wrong, 'a fan-out is answered rightly, or told that there is none', @wrong);
	return;
}

sub step_versions
{
	print "Way 2: ALTER EXTENSION to $old and back, $cycles times\n";
	my $home = Session->new(database => 'drill');
	my $fresh = Session->new(database => 'drill_fresh_cycle');
	my %pristine = ($new => extension_catalog($fresh), $old => fresh_catalog($old));
	my $before = extension_catalog($home);
	my $differences = 0;
	my @single;
	my $stop_reader = start_reader('reader', 'SELECT engram_avg(embedding) IS NOT NULL FROM word WHERE id <= 10',
		"SELECT engram_cosine_matrix('{{1,0}}'::real[], '{{0,1}}') = '{{0}}'");
	my $stop_fan_out = start_reader('fan_out', $fan_out);
	my @loads = start_load();

	my $decision = time();
	update_everywhere($old);
	my $seconds = time() - $decision;
	my $at_old = extension_catalog($home);
	my @taken = grep { !/$changed/ } difference_of($before, $at_old);
	check(!@taken, "only what $new changed is different meanwhile", @taken);

	$decision = time();
	update_everywhere($new);
	my $forward = time() - $decision;

	foreach my $cycle (1 .. $cycles)
	{
		foreach my $version ($old, $new)
		{
			$decision = time();
			update($home, $version);
			push @single, time() - $decision;
			update($fresh, $version);
			$differences += difference_of($version eq $new ? $before : $at_old, extension_catalog($home));
			$differences += difference_of($pristine{$version}, extension_catalog($fresh));
		}
	}
	let_load_go_on();
	check($differences == 0, "the catalogs are as before, and as a fresh installation, $cycles times",
		difference_of($before, extension_catalog($home)));
	my $read = $stop_reader->();
	my @refused = grep { $_ ne '00000 t' } keys %$read;
	check(%$read && !@refused, 'who uses what both have is always answered', @refused);
	check_fan_out_reader($stop_fan_out->());

	finish_step("2: to $old, every database", $seconds, 'no session', "$differences lines", @loads);
	add_way("2: to $new again, every database", $forward);
	add_way('2: slowest single ALTER of ' . @single, max(@single));
	return;
}

# The second begins while the first has not committed, and waits for it.
sub collide
{
	my ($first, $second, $version) = @_;

	$first->run("BEGIN; ALTER EXTENSION engramk UPDATE TO '$version'");
	$second->send("ALTER EXTENSION engramk UPDATE TO '$version'");
	wait_until('the second waits', sub {
		$monitor->run("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = " . $second->pid) eq 't' });
	$first->run('COMMIT');
	$second->receive;
	return $second->sqlstate . ' ' . $second->message;
}

# Whatever two at once do to each other, one of them wins.
sub step_two_at_once
{
	print "Way 2: from two sessions at once\n";
	my %pristine = map { $_ => fresh_catalog($_) } $old, $new;
	my $home = Session->new(database => 'drill');
	my $fresh = Session->new(database => 'drill_fresh_cycle');
	my $before = extension_catalog($home);
	my @quiet = map { Session->new(database => 'drill_fresh_cycle') } 1, 2;
	my @busy = map { Session->new(database => 'drill') } 1, 2;
	my $inconsistent = 0;
	my %outcome;
	my @loads = start_load();

	foreach my $round (1 .. $cycles)
	{
		foreach my $both (\@quiet, \@busy)
		{
			$outcome{ 'the second of two: ' . collide(@$both, $_) }++ foreach $old, $new;

			# and a race, which anyone may win
			$both->[0]->send("ALTER EXTENSION engramk UPDATE TO '$old'");
			$both->[1]->send("ALTER EXTENSION engramk UPDATE TO '$new'");
			$_->receive foreach @$both;
			$outcome{ 'a race: ' . $_->sqlstate . ' ' . $_->message }++ foreach @$both;
		}
		$inconsistent += difference_of($pristine{ version_in($fresh) }, extension_catalog($fresh));
		update($_, $new) foreach $fresh, $home;
	}
	print "    $outcome{$_} times $_\n" foreach sort keys %outcome;
	check($inconsistent == 0, "the catalogs are those of one version or the other, $cycles times");
	my @surprises = grep { !/: 00000 $|: XX000 tuple concurrently updated$/ } keys %outcome;
	check(!@surprises, 'who comes second is refused, or finds nothing to do', @surprises);

	my $decision = time();
	update_everywhere($old);
	my $seconds = time() - $decision;
	update_everywhere($new);
	my $differences = check_same($before, extension_catalog($home), 'and afterwards everything is as before');
	finish_step('2: after two at once', $seconds, 'no session', "$differences lines", @loads);
	return;
}

# Something of a user that the older version knows as well goes down and up.
sub step_kept
{
	my ($what, $create, $use, $drop) = @_;

	print "Way 2: $what of a user, which version $old has too\n";
	my $session = Session->new(database => 'drill');
	$session->run($create);
	my @loads = start_load();
	my $before = extension_catalog($session);
	my $decision = time();

	update($session, $old);
	my $seconds = time() - $decision;
	check($session->run($use) eq 't', "$what works at $old");
	check(Session->new(database => 'drill')->run($use) eq 't', 'and in a new session');
	let_load_go_on();
	update($session, $new);
	my $differences = check_same($before, extension_catalog($session), "everything is as before at $new again");
	check($session->run($use) eq 't', "$what works at $new");
	finish_step("2: kept $what", $seconds, 'no session', "$differences lines", @loads);
	$session->run($drop);
	return;
}

# What the newer version brought and something of a user needs
sub step_refused
{
	my ($function, $create, $drop) = @_;
	my $home = Session->new(database => 'drill');

	print "Way 2: refused, while a view needs $function\n";
	$home->run($create);
	my @loads = start_load();
	my $before = extension_catalog($home);
	my $decision = time();
	$home->query("ALTER EXTENSION engramk UPDATE TO '$old'");
	my $seconds = time() - $decision;
	check($home->sqlstate eq '2BP01'
		  && $home->message =~ /^cannot drop function $function\(.*\) because other objects depend on it$/,
		'it is refused, in the words of the document', $home->sqlstate . ' ' . $home->message);
	print '    ' . $home->message . "\n";
	my $differences = check_same($before, extension_catalog($home), 'and everything is as before');
	let_load_go_on();
	$home->run($drop);
	update_everywhere($old);
	check(version_in($home) eq $old, 'without the view it goes');
	update_everywhere($new);
	finish_step("2: refused for $function", $seconds, 'no session', "$differences lines", @loads);
	return;
}

# A session that has connections by engram_fan_out, and a call that is running meanwhile
sub step_fan_out
{
	print "Way 2: a session with connections to servers\n";
	my ($session, $running, $lock, $home) = map { Session->new(database => 'drill') } 1 .. 4;
	my $connected = "SELECT id FROM engram_fan_out('{drill_itself}', 'SELECT pg_backend_pid(), 0', '{}', 1)";
	my $there = $session->run($connected);
	my @loads = start_load();
	my $before = extension_catalog($home);
	$lock->run('SELECT pg_advisory_lock(1)');
	$running->send("SELECT id FROM engram_fan_out('{drill_itself}', 'SELECT 42, 0 FROM pg_advisory_xact_lock(1)', '{}', 1)");
	wait_until('a call is running', sub {
		$monitor->run("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'") == 1 });

	my $decision = time();
	update_everywhere($old);
	my $seconds = time() - $decision;
	$session->query($fan_out);
	check($session->sqlstate eq '42883' && $session->message =~ /^function engram_fan_out\(.*\) does not exist$/,
		'whoever calls it is told that there is none', $session->sqlstate . ' ' . $session->message);
	check($session->run('SELECT count(*) FROM nearest WHERE query = 1') == 1, 'the session goes on');
	check($monitor->run("SELECT count(*) FROM pg_stat_activity WHERE pid = $there") == 1, 'and keeps its connections');
	$lock->run('SELECT pg_advisory_unlock(1)');
	check($running->receive eq '42', 'a call that was running is answered', $running->message);
	let_load_go_on();
	update_everywhere($new);
	check($session->run($connected) == $there, 'forward again it goes on with the same connection');
	check($session->run($fan_out) eq 't', 'and has the same answer');
	my $differences = check_same($before, extension_catalog($home), 'everything is as before');
	finish_step('2: under fan-outs', $seconds, 'no session', "$differences lines", @loads);
	return;
}

# A join in slices: its tables are the user's, and stay.  Whoever runs it meanwhile goes on.
sub step_slices
{
	print "Way 2: a join in slices\n";
	my ($home, $running, $result, $slice) = map { Session->new(database => 'drill') } 1 .. 4;
	my $join = "'SELECT id, embedding FROM word WHERE id <= 400', 'SELECT id, embedding FROM word', 3";
	my $answer = "SELECT md5(string_agg(concat_ws(' ', query_id, rank, target_id, float8send(distance)), ',' ORDER BY query_id, rank)) FROM";
	my $run = "CALL engram_knn_join_run('near')";
	my $finished = 'SELECT count(finished_at) FROM near_slices';
	my @loads = start_load();
	my $before = extension_catalog($home);
	$home->run("SELECT engram_knn_join_create('near', $join, slice_rows => 100)");
	$result->run('BEGIN; LOCK TABLE near IN SHARE MODE');
	$slice->run('BEGIN; SELECT FROM near_slices WHERE slice = 4 FOR UPDATE');
	$running->send($run);
	wait_until('a slice is running', sub {
		$monitor->run('SELECT wait_event_type FROM pg_stat_activity WHERE pid = ' . $running->pid) eq 'Lock' });

	my $decision = time();
	update_everywhere($old);
	my $seconds = time() - $decision;
	$home->query($run);
	check($home->sqlstate eq '42883' && $home->message =~ /^procedure engram_knn_join_run\(.*\) does not exist$/,
		'whoever begins to run it is told that there is no such procedure', $home->sqlstate . ' ' . $home->message);
	$result->run('COMMIT');
	$running->receive;
	check($running->sqlstate eq '00000' && $home->run($finished) == 3, 'who was running it goes on, slice by slice', $running->message);
	$slice->run('COMMIT');
	let_load_go_on();
	update_everywhere($new);
	$home->run($run);
	check($home->run($finished) == 4, 'forward again the rest is joined');
	check($home->run("$answer near") eq $home->run("$answer engram_knn_join($join)"), 'with the rows of one statement');
	$home->run('DROP TABLE near_slices, near_terms, near');
	my $differences = check_same($before, extension_catalog($home), 'everything is as before');
	finish_step('2: under a join in slices', $seconds, 'no session', "$differences lines", @loads);
	return;
}

# Indexes

sub create_indexes
{
	my ($session) = @_;

	$session->run("CREATE INDEX CONCURRENTLY $_ ON word USING engramk ($index{$_}{of})") foreach @indexes;
	return;
}

sub drop_indexes
{
	my ($session) = @_;

	$session->run("DROP INDEX CONCURRENTLY $_") foreach @indexes;
	return;
}

sub check_indexes
{
	my ($session) = @_;

	foreach my $name (@indexes)
	{
		my $format = $session->run("SELECT format FROM engram_index_info('$name')");
		check($format == $index{$name}{format}, "$name is of format $index{$name}{format}", $format);
		check($session->run("SELECT engram_index_check('$name') = 2000") eq 't', 'and whole');
	}
	return;
}

# Until the load has answered from each index, beside everything else.
sub let_load_use_indexes
{
	my $session = Session->new(database => 'drill');

	foreach my $name (@indexes)
	{
		my $scans = "SELECT scans FROM engram_stat_indexes WHERE indexrelname = '$name'";
		my $before = $session->run($scans);
		wait_until("the load uses $name", sub { $session->run($scans) > $before });
	}
	let_load_go_on();
	return;
}

# Is a tenant's nearest row found by the condition and not among all rows?
sub filters_by_index
{
	my $session = Session->new(database => 'drill');

	$session->run('SET enable_seqscan = off');
	return $session->run(<<'SQL') =~ /Index Cond: \(tenant = 3\)/;
EXPLAIN (COSTS OFF) SELECT id FROM word WHERE tenant = 3 ORDER BY embedding <=> (SELECT embedding FROM word WHERE id = 7) LIMIT 1
SQL
}

sub step_indexes
{
	print "Way 2: indexes, which both versions have\n";
	my $home = Session->new(database => 'drill');
	my $formats = join ' and ', map { $index{$_}{format} } @indexes;
	update_everywhere($old);
	create_indexes($home);
	my @loads = start_load();
	let_load_use_indexes();
	my $forward = time();
	update_everywhere($new);
	$forward = time() - $forward;
	check_indexes($home);
	let_load_use_indexes();
	my $before = extension_catalog($home);

	my $decision = time();
	update_everywhere($old);
	my $seconds = time() - $decision;
	check_indexes($home);
	let_load_use_indexes();
	check(filters_by_index(), 'it filters');
	update_everywhere($new);
	my $differences = check_same($before, extension_catalog($home),
		'going back and forward leaves them, and everything, as they were');
	finish_step("2: to $old, indexes of format $formats", $seconds, 'no session', "$differences lines", @loads);
	add_way("2: to $new, indexes of format $formats", $forward);
	drop_indexes($home);
	return;
}

# The library

# By rename: whoever has mapped the file keeps what was in it.
sub put_library
{
	my ($from) = @_;

	copy($from, "$library.new") or die "$library.new: $!\n";
	chmod 0755, "$library.new";
	rename "$library.new", $library or die "$library: $!\n";
	return;
}

# Is the library that a process has mapped the one that is in place?
# Undefined for a process that has none.
sub maps_current
{
	my ($pid) = @_;
	my $inode = (stat $library)[1];
	my ($mapped) = Load::slurp("/proc/$pid/maps") =~ m{^\S+ \S+ \S+ \S+ (\d+)\s+\S*/engramk\.so}m;

	return defined $mapped ? $mapped == $inode : undef;
}

# Sessions, of those that the condition selects, that have mapped another library.
sub with_replaced_library
{
	my ($condition) = @_;
	my @pids = split /\n/, $monitor->run(<<"SQL");
SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'drill\\_%' AND $condition
SQL

	return grep { my $current = maps_current($_); defined $current && !$current } @pids;
}

sub new_session_maps_current
{
	my $session = Session->new(database => 'drill', user => 'drill_app');

	$session->run("SELECT engram_norm('{3,4}')");
	return maps_current($session->pid);
}

# Workers load the library anew, whatever their leader has mapped: distances,
# states of aggregates, which go from the library of one to that of the other, and
# scans of an index, which may be parallel in one and not in the other.
sub run_parallel
{
	my ($session) = @_;
	my $forced = $session->run('SHOW server_version_num') < 160000 ? 'force_parallel_mode' : 'debug_parallel_query';
	my @queries = (<<'SQL',
SELECT md5(string_agg(float8send(d), '' ORDER BY d, id))
FROM (SELECT w.id, w.embedding <=> q.embedding AS d FROM word AS w, word AS q WHERE q.id = 7) AS x
SQL
		'SELECT engram_nearest(id::bigint, embedding, (SELECT embedding FROM word WHERE id = 7), 10) FROM word',
		'SELECT engram_sum(ARRAY[id, 1]::real[]) FROM word');
	my $by_index = <<'SQL';
SELECT string_agg(id || ' ' || d, ',' ORDER BY d, id) FROM (
	SELECT id, embedding <=> (SELECT embedding FROM word WHERE id = 7) AS d FROM word ORDER BY d LIMIT 100) AS x
SQL

	# JIT takes what it can from the bitcode of the version that is installed
	$session->run($_) foreach "SET $forced = on", 'SET min_parallel_table_scan_size = 0',
	  'SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0',
	  'SET jit_above_cost = 0', 'SET jit_inline_above_cost = 0', 'SET jit_optimize_above_cost = 0';
	foreach my $query (@queries)
	{
		wait_until('there is a worker to have', sub {
			$session->run("EXPLAIN (ANALYZE) $query") =~ /Workers Launched: [1-9]/ });
	}
	my $answers = join ' ', map { $session->run($_) } @queries;

	$session->run("SET $_ = off") foreach $forced, 'enable_seqscan', 'enable_sort';
	$session->run("SET $_ = 0") foreach 'min_parallel_index_scan_size', 'cpu_tuple_cost';
	$answers .= ' ' . $session->run($by_index);
	$session->run("RESET $_") foreach 'enable_seqscan', 'enable_sort', 'min_parallel_index_scan_size', 'cpu_tuple_cost';
	return $answers;
}

sub check_new_is_missing
{
	my ($session) = @_;
	my %symbol = (
		"SELECT engram_fan_out('{drill_itself}', 'SELECT 1, 1', '{}', 1)" => 'ek_sql_fan_out',
		'SELECT engram_nearest_merge(NULL::engram_match[], 1)' => 'ek_sql_nearest_merge_\\w+');

	foreach my $call (sort keys %symbol)
	{
		$session->query($call);
		check($session->sqlstate eq '42883' && $session->message =~ /^could not find function "$symbol{$call}" in file/,
			'what is new is not found', $session->sqlstate . ' ' . $session->message);
		print '    ' . $session->message . "\n";
	}
	return;
}

# The older library under the newer version in SQL: only what is new is missing.
sub step_library_first
{
	my ($newer) = @_;

	print "Way 3: the library of $old before the version\n";
	my @loads = start_load();
	my $decision = time();
	put_library($ENV{ENGRAMK_OLD_LIBRARY});
	wait_until('new sessions have it', sub { new_session_maps_current() });
	my $seconds = time() - $decision;
	let_load_use_indexes();
	finish_step("3: library of $old under $new", $seconds, "$clients older sessions", '-', @loads);

	@loads = start_load();
	check(with_replaced_library('true') == 0, 'who has connected again has it');
	let_load_use_indexes();
	my $session = Session->new(database => 'drill');
	check_indexes($session);
	check_new_is_missing($session);
	$session->run($_) foreach
	  "SELECT engram_knn_join_create('near', 'SELECT id, embedding FROM word WHERE id <= 9', 'SELECT id, embedding FROM word', 3)",
	  "CALL engram_knn_join_run('near')";
	check($session->run('SELECT count(*) FROM near') == 27, 'but a join in slices needs no newer library');
	$session->run('DROP TABLE near_slices, near_terms, near');
	my $before = extension_catalog($session);
	$decision = time();
	update_everywhere($old);
	$seconds = time() - $decision;
	check(version_in($session) eq $old, "the way to $old does not need the newer library");
	let_load_use_indexes();
	$session->query("ALTER EXTENSION engramk UPDATE TO '$new'");
	check($session->sqlstate eq '42883' && version_in($session) eq $old, 'the way forward does',
		$session->sqlstate . ' ' . $session->message);
	put_library($newer);
	update_everywhere($new);
	my $differences = check_same($before, extension_catalog($session), 'and then everything is as before');
	finish_step("3: to $old, library of $old", $seconds, 'no session', "$differences lines", @loads);
	return;
}

sub step_library_back
{
	print "Way 3: the library of $old under new connections\n";
	my @loads = start_load();
	let_load_use_indexes();
	my $veteran = Session->new(database => 'drill');
	my $answer = run_parallel($veteran);

	my $decision = time();
	update_everywhere($old);
	put_library($ENV{ENGRAMK_OLD_LIBRARY});
	my $moment = server_time();
	wait_until('new sessions have it', sub { new_session_maps_current() });
	my $seconds = time() - $decision;

	let_load_go_on();
	check(with_replaced_library("backend_start > '$moment'") == 0, 'no new session has the replaced library');
	my $veterans = with_replaced_library('true');
	check($veterans == $clients, 'older sessions keep theirs', "$veterans of $clients");
	check(run_parallel($veteran) eq $answer, 'an older session and its parallel workers agree');
	check(!maps_current($veteran->pid), 'and are of two versions');
	check_indexes(Session->new(database => 'drill'));
	finish_step("3: library of $old", $seconds, "$veterans older sessions", '-', @loads);
	return;
}

sub step_library_forward
{
	my ($newer, $before) = @_;

	print "Way 3, forward again\n";
	my @loads = start_load();
	check(with_replaced_library('true') == 0, 'who has connected again has the older one');
	let_load_use_indexes();
	my $decision = time();
	put_library($newer);
	update_everywhere($new);
	wait_until('new sessions have it', sub { new_session_maps_current() });
	my $seconds = time() - $decision;
	# so that every session opens the indexes anew
	my $home = Session->new(database => 'drill');
	foreach my $name (@indexes)
	{
		$home->run("ALTER INDEX $_") foreach "$name RENAME TO word_renamed", "word_renamed RENAME TO $name";
	}
	let_load_go_on();
	my $veterans = with_replaced_library('true');
	check($veterans == $clients, "sessions with the library of $old go on", "$veterans of $clients");
	my $differences = check_same($before, extension_catalog($home), 'the catalogs are as before');
	check_indexes($home);
	finish_step("3: library of $new again", $seconds, "$veterans older sessions", "$differences lines", @loads);
	return;
}

# Without any, what does not compute goes on.
sub check_library_gone
{
	my $home = Session->new(database => 'drill');
	my $before = extension_catalog($home);

	rename $library, "$library.gone" or die "$library: $!\n";
	my $session = Session->new(database => 'drill');
	$session->query("SELECT engram_norm('{3,4}')");
	check($session->sqlstate eq '58P01', 'without any library nothing is computed', $session->sqlstate . ' ' . $session->message);
	update($session, $old);
	check(version_in($session) eq $old, "but there is a way to $old");
	rename "$library.gone", $library or die "$library: $!\n";
	update_everywhere($new);
	check_same($before, extension_catalog($home), 'and once it is there again everything is as before');
	return;
}

sub step_library
{
	my $newer = "$ENV{DRILL_SCRATCH}/newer.so";
	copy($library, $newer) or die "$newer: $!\n";

	# as it is in production
	switch_cluster('ALTER SYSTEM SET engramk.verify_rate = 0.01');
	my $home = Session->new(database => 'drill');
	create_indexes($home);
	my $before = extension_catalog($home);
	step_library_back();
	step_library_forward($newer, $before);
	step_library_first($newer);
	check_library_gone();
	check($monitor->run('SELECT divergences FROM engram_stat_verify') eq '0', 'no call that was verified differed');
	switch_cluster('ALTER SYSTEM RESET engramk.verify_rate');
	drop_indexes($home);
	return;
}

# Removal

sub step_drop
{
	print "Way 4: DROP EXTENSION\n";
	my @loads = start_load();
	my $home = Session->new(database => 'drill');
	my $before = extension_catalog($home);
	my $decision = time();

	$home->query('DROP EXTENSION engramk');
	my $seconds = time() - $decision;
	check($home->sqlstate eq '2BP01', 'views that depend on it block it', $home->sqlstate . ' ' . $home->message);
	print '    ' . $home->message . "\n";
	my $differences = check_same($before, extension_catalog($home), 'and everything is as before');
	let_load_go_on();
	finish_step('4: drop, blocked by views', $seconds, 'no session', "$differences lines", @loads);

	print "Way 4: once the application does without\n";
	@loads = start_load(scripts => ['plain']);
	my $data = 'SELECT md5(string_agg(array_send(embedding), NULL ORDER BY id)) FROM word';
	$data =~ s/NULL/''/;
	my %sum = map { $_ => Session->new(database => $_)->run($data) } @databases;
	$decision = time();
	foreach my $database (@databases)
	{
		Session->new(database => $database)->run(<<'SQL');
SET lock_timeout = '2s';
BEGIN;
DROP VIEW distances, batches, nearest, of_tenant;
DROP EXTENSION IF EXISTS engramk_pgvector;
DROP EXTENSION engramk;
COMMIT;
SQL
	}
	$seconds = time() - $decision;
	let_load_go_on();
	foreach my $database (@databases)
	{
		my $session = Session->new(database => $database);
		check($session->run($data) eq $sum{$database}, "$database: the data are as before");
		check($session->run("SELECT atttypid::regtype FROM pg_attribute
			WHERE attrelid = 'word'::regclass AND attname = 'embedding'") eq 'real[]', "$database: in real[]");
		check($session->run("SELECT count(*) FROM plain") > 0, "$database: a view of the data stays");
	}

	my $fresh = Session->new(database => 'drill_fresh_cycle');
	$fresh->run('DROP EXTENSION engramk');
	$differences = check_same($census, census($fresh), 'nothing is left in the catalogs');
	finish_step('4: drop', $seconds, 'no session', "$differences lines", @loads);
	return;
}

# A database whose catalogs are counted before anything is created in it.
sub prepare
{
	$monitor = Session->new(database => 'postgres');
	$monitor->run('CREATE EXTENSION engramk');
	$monitor->run('CREATE DATABASE drill');
	$monitor->run("CREATE ROLE $_ LOGIN") foreach qw(drill_app drill_canary drill_pinned);
	system("gzip -dc '$FindBin::Bin/../data/glove100-10k.tsv.gz' | head -n 2000 |"
		  . " psql -X -q -v ON_ERROR_STOP=1 -d drill -f '$FindBin::Bin/setup.sql'") == 0
	  or die "setup.sql failed\n";
	$monitor->run('CREATE DATABASE drill_two TEMPLATE drill');
	my %installed = map { $_ => 1 } split /\n/,
	  Session->new(database => 'drill')->run('SELECT extname FROM pg_extension');
	if ($installed{vector})
	{
		push @kinds, 'by_vector';
		push @indexes, 'word_vector';
	}
	else
	{
		print "Indexes of pgvector's types are skipped: it is not installed in this server\n";
	}

	$monitor->run('CREATE DATABASE drill_fresh_cycle');
	my $fresh = Session->new(database => 'drill_fresh_cycle');
	$census = census($fresh);
	$fresh->run('CREATE EXTENSION engramk');
	$best = $monitor->run('SELECT level FROM engram_simd_info() WHERE active');
	print "The best level of this machine is scalar: there is nothing to turn off.\n" if $best eq 'scalar';
	return;
}

walk(sub {
	prepare();
	step_off_for_cluster();
	step_on_for_cluster();
	step_off_for('ROLE drill_canary');
	step_off_for('DATABASE drill_two');
	step_versions();
	step_two_at_once();
	step_kept('a view', <<'SQL', 'SELECT cardinality(match) = 3 FROM matches', 'DROP VIEW matches');
CREATE VIEW matches AS
    SELECT engram_nearest(id, embedding, (SELECT embedding FROM word WHERE id = 1), 3) AS match FROM word
SQL
	step_refused('engram_nearest_merge', <<'SQL', 'DROP VIEW merged');
CREATE VIEW merged AS
    SELECT engram_nearest_merge(matches, 3) AS match
    FROM (SELECT engram_nearest(id, embedding, (SELECT embedding FROM word WHERE id = 1), 3) AS matches
          FROM word GROUP BY tenant) AS of_tenant
SQL
	step_refused('engram_fan_out', <<'SQL', 'DROP VIEW found');
CREATE VIEW found AS
    SELECT id, distance FROM engram_fan_out('{drill_itself}', 'SELECT id, 0 FROM word', '{}', 10)
SQL
	step_fan_out();
	step_slices();
	step_indexes();
	if ($ENV{ENGRAMK_NO_OLD_LIBRARY})
	{
		print "Way 3 is skipped: $ENV{ENGRAMK_NO_OLD_LIBRARY}\n";
	}
	else
	{
		step_library();
	}
	step_drop();
});

print_table('way', 'seconds', 'queries', 'failed', 'differed', 'catalog', 'shown apart');
print failures() == 0
  ? "The drill passed: every way back within $rto s, no query failed, no answer differed.\n"
  : "The drill FAILED: @{[ failures() ]} of its checks.\n";
exit(failures() == 0 ? 0 : 1);
