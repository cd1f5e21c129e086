# Similarity queries from many sessions at once, by pgbench with prepared
# statements.  Each query compares its answer with stored bits and notes a
# difference in a table; an error ends its client, and counts as failed.
package Load;

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;

my $scripts = File::Spec->rel2abs(dirname(__FILE__)) . '/load';
my @all;

# Options: clients, scripts (names of files in load/), user, database,
# reconnect (a new connection for every query), application, rate (queries a second
# of all of them together; as many as they can, unless told).
sub new
{
	my ($class, %option) = @_;
	my $self = bless {%option}, $class;
	my $base = "$ENV{DRILL_SCRATCH}/" . ($option{application} // die) . '.' . scalar(@all);

	@{$self}{qw(out err)} = ("$base.out", "$base.err");
	my @command = ('pgbench', '-n', '-M', 'prepared', '-T', '86400',
		'-c', $option{clients}, '-j', 2, ($option{reconnect} ? '-C' : ()), ($option{rate} ? ('-R', $option{rate}) : ()),
		map { ('-f', "$scripts/$_.sql") } @{ $option{scripts} });

	$self->{process} = fork() // die "fork: $!\n";
	if ($self->{process} == 0)
	{
		$ENV{PGDATABASE} = $option{database};
		$ENV{PGUSER} = $option{user};
		$ENV{PGAPPNAME} = $option{application};
		open STDOUT, '>', $self->{out} or die;
		open STDERR, '>', $self->{err} or die;
		exec @command or die "pgbench: $!\n";
	}
	push @all, $self;
	return $self;
}

# Ends it as the end of its time would: every client finishes its query.
# Returns (queries run, queries failed).
sub stop
{
	my ($self) = @_;

	return (0, 0) unless $self->{process};
	kill 'ALRM', $self->{process};
	waitpid($self->{process}, 0);
	my $status = $?;
	delete $self->{process};

	my ($queries) = slurp($self->{out}) =~ /transactions actually processed: (\d+)/;
	my @aborted = slurp($self->{err}) =~ /^(pgbench: error: .*)$/mg;
	print "    $_\n" foreach @aborted;
	return ($queries // 0, scalar(@aborted) || ($status == 0 && defined $queries ? 0 : 1));
}

sub is_running
{
	my ($self) = @_;

	return $self->{process} && waitpid($self->{process}, 1) == 0;
}

sub slurp
{
	my ($file) = @_;

	open my $handle, '<', $file or return '';
	local $/;
	return scalar(<$handle>) // '';
}

END
{
	local $?;
	$_->stop foreach @all;
}

1;
