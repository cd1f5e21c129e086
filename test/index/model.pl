# What can happen to an index, at random and one thing after another: rows of other
# kinds than before, one at a time and many, from several sessions at once, deleted,
# changed, in their vectors or in their filters, and rolled back; VACUUM, which finds other bases and recodes pages; cursors that stay open
# through all of it; parallel scans, scans under filters and within radii, and such as need
# many passes; crashes.  After each step the index gives what a sequential scan gives, and its
# check finds nothing.
#
# MODEL_RUNS says how many tables, each with an index of its own and some twenty steps; every
# other index has filter columns.
# MODEL_SEED repeats the choices of a run, but not how sessions meet.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use PostgreSQL::Test::Utils;
use Test::More;

my $runs = $ENV{MODEL_RUNS} // 6;
my $seed = $ENV{MODEL_SEED} // int(rand(1_000_000));
my $steps = 16;

my $node = start_index_node('model', "autovacuum = off\nmax_parallel_workers = 8\nshared_buffers = 16MB\ncheckpoint_timeout = 1h");
$node->safe_psql('postgres', slurp_file("$FindBin::RealBin/model.sql"));
# a table of which pages are small has its scans shared out
$node->safe_psql('postgres', q{
	ALTER DATABASE postgres SET parallel_setup_cost = 0;
	ALTER DATABASE postgres SET parallel_tuple_cost = 0;
	ALTER DATABASE postgres SET min_parallel_table_scan_size = 0;
	ALTER DATABASE postgres SET min_parallel_index_scan_size = 0;
	ALTER DATABASE postgres SET max_parallel_workers_per_gather = 0;});
my $learns = makes_format_3();
$node->safe_psql('postgres', "ALTER EXTENSION engramk UPDATE TO '1.8'") if $learns;

my @sessions;
my ($dims, $kind, $cursor);
my %seen = map { $_ => 0 } qw(recoded bases_in_a_row parallel filtered crash cursor);
my @history;

sub pick { return $_[ int(rand(@_)) ]; }

sub connect_all
{
	@sessions = map { $node->background_psql('postgres', on_error_stop => 0) } 0 .. 3;
	$_->set_query_timer_restart foreach @sessions;
	foreach my $i (0 .. $#sessions)
	{
		$sessions[$i]->query("SELECT setseed(" . rand() . ")");
		$sessions[$i]->query("SET engramk.arena_size = '64kB'") if rand() < 0.5;
	}
	return;
}

# Statements that must not fail.
sub run_in
{
	my ($session, $sql) = @_;

	$session->{stderr} = '';
	my $out = $session->query($sql);
	die "$session->{stderr} in: $sql\n" if $session->{stderr} =~ /ERROR|FATAL|PANIC|WARNING/;
	return $out;
}

# Statements that several sessions run at the same time
sub run_together
{
	my (@sql) = @_;
	my @begun;

	foreach my $i (0 .. $#sql)
	{
		$sessions[$i]->{stderr} = '';
		$begun[$i] = $sessions[$i]->query_until(qr/begun/, "\\echo begun\n$sql[$i];\n\\echo finished\n");
	}
	foreach my $i (0 .. $#sql)
	{
		$sessions[$i]->query_until(qr/finished/, '') if $begun[$i] !~ /finished/;
		die "$sessions[$i]->{stderr} in: $sql[$i]\n" if $sessions[$i]->{stderr} =~ /ERROR|FATAL|PANIC/;
	}
	return;
}

sub insert_of
{
	my ($many) = @_;

	return "INSERT INTO item (v, tenant, moment, name) SELECT * FROM filtered_rows($kind, $dims, $many)";
}

sub delete_of { return 'DELETE FROM item WHERE id % ' . pick(2, 3, 5, 7) . ' = 1'; }

sub update_of
{
	return "UPDATE item SET v = (SELECT vectors_of($kind, $dims, 1) WHERE id IS NOT NULL) WHERE id % " . pick(11, 23, 50) . ' = 0';
}

sub update_filters
{
	return 'UPDATE item SET ' . pick('tenant = 3', 'tenant = NULL', "name = 'n5'", "tenant = 7, name = 'n1'", "moment = moment + interval '100 days'") . ' WHERE id % ' . pick(3, 11, 23) . ' = 0';
}

# Conditions that the index knows if it has the column, and some that it does not
sub filter
{
	return pick('true', 'tenant = 3', 'tenant IN (1, 5, 7, 8, 9, 11)', 'tenant < 2::bigint', 'tenant BETWEEN 4 AND 12', 'tenant IS NULL', 'tenant IS NOT NULL', 'tenant = 77',
		"name = 'n5'", "name IN ('n1', 'n2')", "moment > '2024-06-01'", "tenant = 1 AND name = 'n1'", "tenant > 15 AND moment < '2024-02-01'", 'v IS NOT NULL AND tenant = 2',
		'v IS NULL AND tenant > 3', 'note IS NULL AND tenant = 4', "tenant = 5 AND name <> 'n3'");
}

# What tells bases apart
sub basis_of
{
	return run_in($sessions[0], q{SELECT basis, widths, survivors_expected, sampled, coarse_bits FROM engram_index_info('item_v') WHERE basis > 0});
}

sub vacuum
{
	my $before = $learns ? basis_of() : '';

	run_in($sessions[0], pick('VACUUM item', 'VACUUM (INDEX_CLEANUP on) item', 'VACUUM (PARALLEL 2) item'));
	my $after = $learns ? basis_of() : '';
	return if $after eq $before;
	$seen{recoded}++;
	$seen{bases_in_a_row}++ if $before ne '';
	return;
}

sub compare
{
	my $k = pick(1, 3, 10, 100, 1000, 3000, 1000000);
	my $workers = pick(0, 0, 1, 2, 4);
	my $session = pick(@sessions[ 0 .. 2 ]);
	my $filter = filter();
	my $findings = run_in($session, "SET max_parallel_workers_per_gather = $workers; SELECT all_differences('item', $dims, 2, $k, \$\$$filter\$\$)");

	$findings .= run_in($session, "SELECT all_differences_within('item', $dims, 1, \$\$$filter\$\$)") if $learns;
	die "with $workers workers: $findings\n" if $findings ne '';
	$seen{filtered}++ if run_in($session, "SET enable_seqscan = off; EXPLAIN SELECT v <=> v FROM item WHERE $filter ORDER BY v <=> array_fill(1::real, ARRAY[$dims])::vec LIMIT $k; RESET enable_seqscan")
	  =~ /Index Cond:.*(?:tenant|moment|name)/;
	$seen{parallel}++ if run_in($session, "SET enable_seqscan = off; SET enable_sort = off; EXPLAIN SELECT v <=> v FROM item ORDER BY v <=> array_fill(1::real, ARRAY[$dims])::vec LIMIT $k; RESET enable_seqscan; RESET enable_sort")
	  =~ /Parallel Index Scan/;
	run_in($session, 'RESET max_parallel_workers_per_gather');
	return;
}

# Of one snapshot all rows, with their distances, beside a cursor that will find them.
sub open_cursor
{
	my $operator = pick('<=>', '<->', '<#>');
	my $q = "(SELECT v[1:$dims]::vec FROM stock WHERE kind = $kind AND i = " . (1 + int(rand(1000))) . ')';
	my $session = $sessions[3];
	my $filter = filter();

	return if $cursor;
	$q = run_in($session, "SELECT $q") if rand() < 0.9;
	$q = "'$q'::vec" if $q =~ /^[{\[]/;
	run_in($session, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
	run_in($session, 'CREATE TEMP TABLE got (n serial, id integer, d float8) ON COMMIT DROP');
	run_in($session, "CREATE TEMP TABLE truth ON COMMIT DROP AS SELECT id, v $operator $q AS d FROM item WHERE $filter");
	run_in($session, 'SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off');
	run_in($session, "DECLARE c CURSOR FOR SELECT id, v $operator $q AS d FROM item WHERE $filter ORDER BY v $operator $q");
	run_in($session, "SELECT take('c', " . pick(0, 1, 100) . ')');
	$cursor = 1;
	return;
}

sub advance_cursor
{
	return if !$cursor;
	run_in($sessions[3], "SELECT take('c', " . pick(1, 10, 500) . ')');
	return;
}

sub close_cursor
{
	return if !$cursor;
	run_in($sessions[3], "SELECT take('c', 1000000)");
	my $right = run_in($sessions[3], 'SELECT has_all()');
	run_in($sessions[3], 'COMMIT');
	$cursor = 0;
	$seen{cursor}++;
	die "a cursor: $right\n" if $right ne 'right';
	return;
}

sub check
{
	my $out = run_in($sessions[0], "SELECT engram_index_check('item_v') = count(*) FROM item");

	die "the check has not seen as many entries as there are rows\n" if $out ne 't';
	return;
}

sub crash
{
	$node->stop('immediate');
	eval { $_->quit } foreach @sessions;
	$node->start;
	connect_all();
	$cursor = 0;
	$seen{crash}++;
	check();
	return;
}

my @steps = (
	[ 3, 'another kind', sub { $kind = int(rand(8)); run_in($sessions[0], insert_of(pick(10, 300))); } ],
	[ 4, 'many rows', sub { run_in($sessions[0], insert_of(pick(300, 800, 1400))) } ],
	[ 5, 'most rows are others', sub { $kind = pick(0, 1, 2, 4); run_in($sessions[0], "DELETE FROM item WHERE id % 17 > 0; " . insert_of(1400)); vacuum(); } ],
	[ 3, 'single rows', sub { run_in($sessions[ $_ % 3 ], insert_of(1)) foreach 1 .. 6; } ],
	[ 3, 'rows from several sessions', sub { run_together(map { insert_of(pick(1, 50, 500)) } 0 .. 2) } ],
	[ 3, 'beside a vacuum', sub { run_together('VACUUM item', insert_of(500), pick(delete_of(), update_of(), update_filters())) } ],
	[ 2, 'a delete', sub { run_in($sessions[1], delete_of()) } ],
	[ 1, 'a delete of all', sub { run_in($sessions[1], 'DELETE FROM item') } ],
	[ 2, 'an update', sub { run_in($sessions[1], update_of()) } ],
	[ 2, 'an update of filters', sub { run_in($sessions[1], update_filters()) } ],
	[ 1, 'updates of something else', sub { run_in($sessions[1], 'UPDATE item SET note = id WHERE id % 3 = 0') } ],
	[ 2, 'a rollback', sub { run_in($sessions[2], 'BEGIN; ' . insert_of(pick(5, 400)) . '; ' . delete_of() . '; ROLLBACK') } ],
	[ 6, 'a vacuum', \&vacuum ],
	[ 1, 'a vacuum that leaves indexes alone', sub { run_in($sessions[0], 'VACUUM (INDEX_CLEANUP off) item') } ],
	[ 6, 'a comparison', \&compare ],
	[ 4, 'a cursor', \&open_cursor ],
	[ 3, 'a cursor goes on', \&advance_cursor ],
	[ 2, 'a cursor ends', \&close_cursor ],
	[ 1, 'a crash', \&crash ],
	[ 1, 'a checkpoint', sub { run_in($sessions[0], 'CHECKPOINT') } ],
	[ 0.3, 'a new index', sub { close_cursor(); run_in($sessions[0], pick('REINDEX INDEX item_v', 'REINDEX INDEX CONCURRENTLY item_v')) } ],
	[ 2, 'a check', \&check ]);
my @deck = map { ($_) x int(10 * $_->[0]) } @steps;

sub begin_run
{
	my ($columns) = @_;
	my $index = 'CREATE INDEX ' . pick('', 'CONCURRENTLY ') . "item_v ON item USING engramk ($columns)";
	my $nulls = 'INSERT INTO item (v, tenant) SELECT NULL, i % 20 FROM generate_series(1, ' . pick(0, 5, 1500) . ') AS i';

	$dims = pick(8, 13, 32, 64);
	$kind = int(rand(8));
	run_in($sessions[0], 'DROP TABLE IF EXISTS item');
	run_in($sessions[0], 'CREATE TABLE item (id serial, v vec, note integer, tenant integer, moment timestamptz, name text) WITH (fillfactor = ' . pick(50, 100) . ')');
	my @start = @{ pick([$index], [ $index, $nulls ], [ $nulls, $index ], [ insert_of(50), $index ], [ insert_of(1400), $index ],
		[ $nulls, insert_of(1400), $index ]) };
	run_in($sessions[0], $_) foreach @start;
	@history = ("$dims dimensions", @start);
	return;
}

sub one_run
{
	my ($columns) = @_;

	begin_run($columns);
	foreach (1 .. $steps)
	{
		my $step = pick(@deck);

		push @history, "$step->[1] (kind $kind)";
		$step->[2]->();
	}
	push @history, 'the end';
	close_cursor();
	compare();
	check();
	vacuum();
	compare();
	check();
	return;
}

note("MODEL_SEED=$seed MODEL_RUNS=$runs");
srand($seed);
connect_all();
my $failed = 0;
foreach my $run (1 .. $runs)
{
	next if eval { one_run($learns && $run % 2 == 0 ? pick('v, tenant', 'v, tenant, moment, name', 'v, name, moment') : 'v'); 1 };
	my $error = $@;

	fail("run $run");
	diag("run $run of MODEL_SEED=$seed: $error");
	diag(join("\n", map { "  $_" } @history));
	last if ++$failed == 3;
	$node->stop('immediate');
	eval { $_->quit } foreach @sessions;
	$node->start;
	connect_all();
	$cursor = 0;
}
is($failed, 0, "$runs runs, each to its end");
diag(join(', ', map { "$_: $seen{$_}" } sort keys %seen));
if ($learns)
{
	cmp_ok($seen{recoded}, '>=', $runs / 4, 'VACUUM has found bases');
	cmp_ok($seen{bases_in_a_row}, '>=', $runs / 8, 'and others after them');
	cmp_ok($seen{parallel}, '>=', 1, 'scans were parallel');
	cmp_ok($seen{filtered}, '>=', 1, 'and under filters that the index knows');
}
$node->stop;
done_testing();
