# What the drills have in common: their checks, what they wait for, what became of
# the load, and the table of ways at the end.  A check that fails does not end a
# drill; what dies does.
package Ways;

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(max sum0);
use Session;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(walk check wait_until finish_load add_row print_table failures);

# Seconds until something that must happen is given up
my $patience = 60;

my $failures = 0;
my @rows;

sub failures { return $failures; }

# Walks them all; what dies on the way counts as a check that failed.
sub walk
{
	my ($ways) = @_;

	return if eval { $ways->(); 1 };
	$failures++;
	print "FAILED: $@";
	return;
}

sub check
{
	my ($ok, $what, @details) = @_;

	print $ok ? "  ok: $what\n" : "  FAILED: $what\n";
	return if $ok;
	$failures++;
	print "    $_\n" foreach splice(@details, 0, 20);
	return;
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

# Ends the load, and returns how many queries it ran, how many failed, and how many
# answers differed in these databases.
sub finish_load
{
	my ($databases, @loads) = @_;
	my ($queries, $failed) = (0, 0);

	foreach my $load (@loads)
	{
		my ($run, $lost) = $load->stop;
		$queries += $run;
		$failed += $lost;
	}
	my $differed = sum0(map {
		Session->new(database => $_)
		  ->run('WITH gone AS (DELETE FROM difference RETURNING *) SELECT count(*) FROM gone');
	} @$databases);

	check($queries > 0, 'the load ran');
	check($failed == 0, 'no query failed');
	check($differed == 0, 'no answer differed');
	return ($queries, $failed, $differed);
}

sub add_row
{
	push @rows, [@_];
	return;
}

# Rows that are shorter than the header have nothing to say there.
sub print_table
{
	my (@header) = @_;
	my @table = (\@header, map { [ map { $_ // '-' } @$_[ 0 .. $#header ] ] } @rows);
	my @width = map { my $column = $_; max(map { length $_->[$column] } @table) } 0 .. $#header;

	print "\n";
	foreach my $row (@table)
	{
		print '| ' . join(' | ', map { sprintf("%-$width[$_]s", $row->[$_]) } 0 .. $#header) . " |\n";
		print '|' . join('|', map { '-' x ($_ + 2) } @width) . "|\n" if $row == $table[0];
	}
	print "\n";
	return;
}

1;
