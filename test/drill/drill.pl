# The drill: every way back is walked under load, timed and checked.  Called by
# run.sh, beside a throwaway server.
#
# RTO: seconds that a way back may take from the decision until no statement
# starts at the old level.  CYCLES: how often to go down and up a version.
#
# Exits with 0 if every check holds and no way took longer.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Catalog;
use File::Copy qw(copy);
use List::Util qw(max sum0);
use Load;
use POSIX ();
use Session;
use Time::HiRes qw(time usleep);

my ($old, $new) = @ENV{qw(DRILL_OLD_VERSION DRILL_NEW_VERSION)};
my $rto = $ENV{RTO};
my $cycles = $ENV{CYCLES};
my $library = $ENV{LIBRARY};
my $patience = 60;

# What the newer version changed in the catalogs: its own number.  Both have the index
# of real[]; that of a type of pgvector, in whose place nothing comes, only the newer
# one, and only where pgvector is installed.
my $changed = qr/^. extension \|/;
my ($kept_index, $new_index) = qw(word_embedding word_vector);
my ($kept_format, $new_format) = (4, 5);
my $with_pgvector;

my @databases = qw(drill drill_two);
my $create_kept_index = "CREATE INDEX CONCURRENTLY $kept_index ON word USING engramk (embedding, tenant)";
my $create_new_index = "CREATE INDEX CONCURRENTLY $new_index ON word USING engramk (vector vector_cosine_ops)";
my $clients = 20;
my $reconnecting = 2;
my @kinds = qw(distances batches nearest by_index of_tenant);

my $failures = 0;
my @table;
my $monitor;
my $best;
my $census;
$| = 1;

# Checks and waiting

sub check
{
	my ($ok, $what, @details) = @_;

	print $ok ? "  ok: $what\n" : "  FAILED: $what\n";
	return if $ok;
	$failures++;
	print "    $_\n" foreach splice(@details, 0, 20);
	return;
}

sub check_same
{
	my ($before, $after, $what) = @_;
	my @difference = difference_of($before, $after);

	check(!@difference, $what, @difference);
	return scalar @difference;
}

sub wait_until
{
	my ($what, $condition) = @_;
	my $limit = time() + $patience;

	while (!$condition->())
	{
		die "not within $patience seconds: $what\n" if time() > $limit;
		usleep(2_000);
	}
	return;
}

sub server_time { return $monitor->run('SELECT clock_timestamp()'); }

# The load

# Twenty sessions that stay, and two that connect anew for every query.
sub start_load
{
	my (%option) = @_;
	my %common = (database => 'drill', scripts => \@kinds, %option);
	my @loads = (
		Load->new(%common, clients => $clients, user => 'drill_app', application => 'drill_stay'),
		Load->new(database => 'drill_two', scripts => $common{scripts}, clients => $reconnecting,
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
	my ($queries, $failed) = (0, 0);

	foreach my $load (@loads)
	{
		my ($run, $lost) = $load->stop;
		$queries += $run;
		$failed += $lost;
	}
	my $differed = sum0(map {
		my $session = Session->new(database => $_);
		$session->run('WITH gone AS (DELETE FROM difference RETURNING *) SELECT count(*) FROM gone');
	} @databases);

	check($queries > 0, 'the load ran');
	check($failed == 0, 'no query failed');
	check($differed == 0, 'no answer differed');
	check($seconds <= $rto, sprintf('within %g s', $rto), sprintf('%.3f s', $seconds));
	add_row($name, $seconds, $queries, $failed, $differed, $catalog, $apart);
	return;
}

sub add_row
{
	my ($name, $seconds, @rest) = @_;

	push @rest, '-' while @rest < 5;
	push @table, [ $name, sprintf('%.3f', $seconds), @rest ];
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
		Session->new(database => $database)->run(<<"SQL");
SET lock_timeout = '2s';
SELECT format('ALTER EXTENSION engramk UPDATE TO %L', '$version') FROM pg_extension WHERE extname = 'engramk' \\gexec
SQL
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

# A user of what both versions have, without a pause.  Returns counts by SQLSTATE.
sub start_reader
{
	my $file = "$ENV{DRILL_SCRATCH}/reader";
	my $parent = $$;
	my $process = fork() // die "fork: $!\n";

	if ($process == 0)
	{
		# other sessions end when nobody holds their pipes
		POSIX::close($_) foreach 3 .. 255;
		my $session = Session->new(database => 'drill');
		my (%count, $stop);
		local $SIG{TERM} = sub { $stop = 1 };
		while (!$stop && getppid() == $parent)
		{
			$session->query($_), $count{ $session->sqlstate . ' ' . $session->message }++
			  foreach 'SELECT engram_avg(embedding) FROM word WHERE id <= 10',
			  "SELECT engram_cosine_matrix('{{1,0}}', '{{0,1}}')";
			usleep(5_000);
		}
		open my $out, '>', $file or die;
		print $out "$count{$_} $_\n" foreach sort keys %count;
		close $out;
		POSIX::_exit(0);
	}
	return sub {
		kill 'TERM', $process;
		waitpid($process, 0);
		my %count = map { /^(\d+) (\S+) ?(.*)/ ? ("$2 $3" => $1) : () } split /\n/, Load::slurp($file);
		return \%count;
	};
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
	my $stop_reader = start_reader();
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
	my @refused = grep { !/^00000 / } keys %$read;
	check(!@refused, 'who uses what both have is always answered', @refused);

	finish_step("2: to $old, every database", $seconds, 'no session', "$differences lines", @loads);
	add_row("2: to $new again, every database", $forward);
	add_row('2: slowest single ALTER of ' . @single, max(@single));
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

# Indexes: each version builds those that it can read

sub format_of_index
{
	my ($session, $index) = @_;

	return $session->run("SELECT format FROM engram_index_info('$index')");
}

sub check_index
{
	my ($session, $index, $format) = @_;

	check(format_of_index($session, $index) == $format, "$index is of format $format");
	check($session->run("SELECT engram_index_check('$index') = 2000") eq 't', 'and whole');
	return;
}

# Until the load has answered from the index, beside everything else.
sub let_load_use_index
{
	my ($index) = @_;
	my $session = Session->new(database => 'drill');
	my $scans = "SELECT scans FROM engram_stat_indexes WHERE indexrelname = '$index'";
	my $before = $session->run($scans);

	wait_until("the load uses $index", sub { $session->run($scans) > $before });
	let_load_go_on();
	return;
}

sub bring_pgvector
{
	my ($session) = @_;

	$session->run($_) foreach 'CREATE EXTENSION engramk_pgvector', $create_new_index;
	return;
}

sub leave_pgvector
{
	my ($session) = @_;

	$session->run($_) foreach "DROP INDEX CONCURRENTLY $new_index", 'DROP EXTENSION engramk_pgvector';
	return;
}

# The way back with all that the older version cannot have.  Returns the catalog of the
# newer version without it.
sub go_back
{
	my ($session) = @_;

	leave_pgvector($session) if $with_pgvector;
	my $catalog = extension_catalog($session);
	update_everywhere($old);
	return $catalog;
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

sub step_kept_index
{
	print "Way 2: an index of $old, which $new has too\n";
	my ($home) = @_;
	update_everywhere($old);
	$home->run($create_kept_index);
	my @loads = start_load();
	let_load_use_index($kept_index);
	my $decision = time();
	update_everywhere($new);
	my $seconds = time() - $decision;
	check_index($home, $kept_index, $kept_format);
	let_load_use_index($kept_index);
	my $before = extension_catalog($home);
	update($home, $old);
	let_load_use_index($kept_index);
	check(filters_by_index(), 'it filters');
	update($home, $new);
	my $differences = check_same($before, extension_catalog($home),
		'going back and forward leaves it, and everything, as it was');
	finish_step("2: to $new, an index of format $kept_format", $seconds, 'no session', "$differences lines", @loads);
	return;
}

sub step_new_index
{
	print "An index of format $new_format beside it\n";
	my ($home) = @_;
	my @loads = start_load();
	my $decision = time();
	bring_pgvector($home);
	my $seconds = time() - $decision;
	check_index($home, $new_index, $new_format);
	let_load_use_index($new_index);
	let_load_use_index($kept_index);
	finish_step("an index of format $new_format", $seconds, 'no session', '-', @loads);
	return;
}

# What blocks a statement of the way back, by its SQLSTATE and message
sub step_refused
{
	my ($home, $statement, $why, $sqlstate, $message) = @_;

	print "Way 2: $statement is refused, while there is $why\n";
	my @loads = start_load();
	my $before = extension_catalog($home);
	my $decision = time();
	$home->query($statement);
	my $seconds = time() - $decision;
	check($home->sqlstate eq $sqlstate && $home->message =~ $message, 'it is refused, in the words of the document',
		$home->sqlstate . ' ' . $home->message);
	print '    ' . $home->message . "\n";
	my $differences = check_same($before, extension_catalog($home), 'and everything is as before');
	let_load_use_index($new_index);
	finish_step("2: refused for $why", $seconds, 'no session', "$differences lines", @loads);
	return;
}

sub step_back_without_index
{
	print "Way 2: the index goes, and engramk_pgvector\n";
	my ($home) = @_;
	my @loads = start_load();
	let_load_use_index($new_index);
	my $decision = time();
	my $before = go_back($home);
	my $seconds = time() - $decision;
	check_index($home, $kept_index, $kept_format);
	let_load_use_index($kept_index);
	update_everywhere($new);
	my $differences = check_same($before, extension_catalog($home), 'forward again everything is as before');
	finish_step("2: to $old, without its index", $seconds, 'no session', "$differences lines", @loads);
	return;
}

sub step_pgvector
{
	my ($home) = @_;
	my $drop = 'DROP EXTENSION engramk_pgvector';
	my $depended_upon = qr/^cannot drop extension engramk_pgvector because other objects depend on it$/;

	step_new_index($home);
	step_refused($home, "ALTER EXTENSION engramk UPDATE TO '$old'", 'engramk_pgvector', '55000',
		qr/^the older version of engramk has no indexes of other types than real\[\], as "engramk_pgvector" needs$/);
	step_refused($home, $drop, 'an index', '2BP01', $depended_upon);
	$home->run(<<'SQL');
CREATE VIEW near AS
    SELECT id FROM word WHERE engram_cosine_within(vector, (SELECT vector FROM word WHERE id = 1), 0.5)
SQL
	step_refused($home, $drop, 'a view', '2BP01', $depended_upon);
	$home->run('DROP VIEW near');
	step_back_without_index($home);
	return;
}

sub step_indexes
{
	my $home = Session->new(database => 'drill');

	step_kept_index($home);
	if ($with_pgvector)
	{
		step_pgvector($home);
	}
	else
	{
		print "Indexes of pgvector's types are skipped: it is not installed in this server\n";
	}
	$home->run("DROP INDEX CONCURRENTLY $kept_index");
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

	# JIT takes what it can from the bitcode of the version that is installed;
	# and an older library warns of a parameter that the server has once read
	$session->run($_) foreach 'SET client_min_messages = error', "SET $forced = on", 'SET min_parallel_table_scan_size = 0',
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

# Whoever has removed the newer library too early puts it back.  If nobody has it any
# more, the older one suffices, once indexes are gone that it cannot read.
sub check_library_gone
{
	my ($previous, $newer) = @_;
	my $home = Session->new(database => 'drill');
	my $without = extension_catalog($home);
	update($home, $old);
	my $at_old = extension_catalog($home);
	update($home, $new);
	bring_pgvector($home) if $with_pgvector;
	my $back = "ALTER EXTENSION engramk UPDATE TO '$old'";

	rename $library, "$library.gone" or die "$library: $!\n";
	my $session = Session->new(database => 'drill');
	$session->query($back);
	check($session->sqlstate eq '58P01', "the way to $old needs a library", $session->sqlstate . ' ' . $session->message);
	rename "$library.gone", $library or die "$library: $!\n";
	put_library($previous);
	$session = Session->new(database => 'drill');
	if ($with_pgvector)
	{
		check_unreadable($session, $back);
		leave_pgvector($session);
	}
	$session->run($back);
	check_index($session, $kept_index, $kept_format);
	check_same($at_old, extension_catalog($session), "there is a way to $old without it all the same");
	put_library($newer);
	update_everywhere($new);
	check_same($without, extension_catalog($home), 'and everything else is as before once it is there again');
	return;
}

# To a session with the older library
sub check_unreadable
{
	my ($session, $statement) = @_;
	my $before = extension_catalog($session);

	$session->query($statement);
	check($session->sqlstate eq '0A000'
		  && $session->message =~ /^index "$new_index" has format $new_format, but this library knows/,
		"the library of $old cannot read an index of format $new_format",
		$session->sqlstate . ' ' . $session->message);
	check_same($before, extension_catalog($session), 'and everything is as before');
	return;
}

sub step_library_back
{
	my ($home) = @_;

	print "Way 3: the library of $old under new connections\n";
	my @loads = start_load();
	let_load_use_index($kept_index);
	let_load_use_index($new_index) if $with_pgvector;
	my $veteran = Session->new(database => 'drill');
	my $answer = run_parallel($veteran);
	wait_until('the parameter is in use', sub {
		$veteran->run("SELECT current_setting('engramk.verify_rate')") eq '0.01' });

	my $decision = time();
	switch_cluster('ALTER SYSTEM RESET engramk.verify_rate');
	my $before = go_back($home);
	put_library($ENV{DRILL_OLD_LIBRARY});
	my $moment = server_time();
	wait_until('new sessions have it', sub { new_session_maps_current() });
	my $seconds = time() - $decision;

	let_load_go_on();
	check(with_replaced_library("backend_start > '$moment'") == 0, 'no new session has the replaced library');
	my $veterans = with_replaced_library('true');
	check($veterans == $clients, 'older sessions keep theirs', "$veterans of $clients");
	check(run_parallel($veteran) eq $answer, 'an older session and its parallel workers agree');
	check(!maps_current($veteran->pid), 'and are of two versions');
	check_index(Session->new(database => 'drill'), $kept_index, $kept_format);
	finish_step("3: library of $old", $seconds, "$veterans older sessions", '-', @loads);
	return $before;
}

sub step_library_forward
{
	my ($newer, $before) = @_;

	print "Way 3, forward again\n";
	my @loads = start_load();
	check(with_replaced_library('true') == 0, 'who has connected again has the older one');
	let_load_use_index($kept_index);
	my $decision = time();
	put_library($newer);
	update_everywhere($new);
	wait_until('new sessions have it', sub { new_session_maps_current() });
	my $seconds = time() - $decision;
	# so that every session opens the index anew
	my $home = Session->new(database => 'drill');
	$home->run("ALTER INDEX $_") foreach "$kept_index RENAME TO word_renamed", "word_renamed RENAME TO $kept_index";
	let_load_go_on();
	my $veterans = with_replaced_library('true');
	check($veterans == $clients, "sessions with the library of $old go on", "$veterans of $clients");
	my $differences = check_same($before, extension_catalog($home), 'the catalogs are as before');
	check_index($home, $kept_index, $kept_format);
	finish_step("3: library of $new again", $seconds, "$veterans older sessions", "$differences lines", @loads);
	return;
}

# $late is a session with the older library.
sub step_library_new_index
{
	my ($home, $late) = @_;

	print "Way 3, an index of format $new_format again\n";
	my @loads = start_load();
	check(with_replaced_library('true') == 0, 'who has connected again has the newer one');
	my $decision = time();
	bring_pgvector($home);
	my $seconds = time() - $decision;
	check_index($home, $new_index, $new_format);
	let_load_use_index($new_index);
	check_unreadable($late, 'SELECT id FROM word ORDER BY vector <=> (SELECT vector FROM word WHERE id = 7) LIMIT 1');
	finish_step("3: an index of format $new_format", $seconds, 'no session', '-', @loads);
	leave_pgvector($home);
	return;
}

sub step_library
{
	my $kept = "$ENV{DRILL_SCRATCH}/newer.so";
	copy($library, $kept) or die "$kept: $!\n";

	# as it is in production
	switch_cluster('ALTER SYSTEM SET engramk.verify_rate = 0.01');
	my $home = Session->new(database => 'drill');
	$home->run($create_kept_index);
	bring_pgvector($home) if $with_pgvector;
	my $before = step_library_back($home);
	my $late = Session->new(database => 'drill');
	$late->run("SELECT engram_norm('{3,4}')");
	step_library_forward($kept, $before);
	$home = Session->new(database => 'drill');
	step_library_new_index($home, $late) if $with_pgvector;
	check_library_gone($ENV{DRILL_OLD_LIBRARY}, $kept);
	$home->run("DROP INDEX CONCURRENTLY $kept_index");
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
	$with_pgvector = Session->new(database => 'drill')->run("SELECT 1 FROM pg_extension WHERE extname = 'vector'");
	push @kinds, 'by_vector' if $with_pgvector;

	$monitor->run('CREATE DATABASE drill_fresh_cycle');
	my $fresh = Session->new(database => 'drill_fresh_cycle');
	$census = census($fresh);
	$fresh->run('CREATE EXTENSION engramk');
	$best = $monitor->run('SELECT level FROM engram_simd_info() WHERE active');
	print "The best level of this machine is scalar: there is nothing to turn off.\n" if $best eq 'scalar';
	return;
}

sub print_table
{
	my @rows = ([ 'way', 'seconds', 'queries', 'failed', 'differed', 'catalog', 'shown apart' ], @table);
	my @width = map { my $column = $_; max(map { length $_->[$column] } @rows) } 0 .. 6;

	print "\n";
	foreach my $row (@rows)
	{
		print '| ' . join(' | ', map { sprintf("%-$width[$_]s", $row->[$_]) } 0 .. 6) . " |\n";
		print '|' . join('|', map { '-' x ($_ + 2) } @width) . "|\n" if $row == $rows[0];
	}
	print "\n";
	return;
}

my $done = eval {
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
	step_indexes();
	if ($ENV{DRILL_OLD_LIBRARY})
	{
		step_library();
	}
	else
	{
		print "Way 3 is skipped: $ENV{DRILL_SKIPPED}\n";
	}
	step_drop();
	1;
};
unless ($done)
{
	$failures++;
	print "FAILED: $@";
}

print_table();
print $failures == 0
  ? "The drill passed: every way back within $rto s, no query failed, no answer differed.\n"
  : "The drill FAILED: $failures of its checks.\n";
exit($failures == 0 ? 0 : 1);
