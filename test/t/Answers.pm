# Makes PostgreSQL::Test give answers in the same way whatever release it is of, and however
# busy the machine: of sessions of background_psql, and of a server that is not back yet.
#
# That of 16.2 leaves the end of the last line, which others take away.  That of 17.6 finds
# the end of an answer by a line of its own on stderr, and takes it away with the end of
# the line before: after an error, a warning or a notice the next one would not begin a
# line, and be waited for in vain.
#
# psql without a server may end before it was given the question of poll_query_until, which
# IPC::Run takes for an error of its own.
package Answers;

use strict;
use warnings;

use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Cluster;

use constant QUESTIONS => 10;

my $poll = \&PostgreSQL::Test::Cluster::poll_query_until;
my $query = \&PostgreSQL::Test::BackgroundPsql::query;
my $leaves_end;

no warnings 'redefine';
*PostgreSQL::Test::BackgroundPsql::query = sub {
	my ($session, @statement) = @_;

	$session->{stderr} =~ s/(?<=[^\n])\z/\n/;
	# a last line may be empty, so what there is too much is not seen by the answer itself
	$leaves_end //= $session->$query('\echo line') eq "line\n";
	my ($output, $failed) = $session->$query(@statement);
	$output =~ s/\n\z// if $leaves_end;
	return wantarray ? ($output, $failed) : $output;
};

*PostgreSQL::Test::Cluster::poll_query_until = sub {
	foreach my $question (1 .. QUESTIONS)
	{
		my $is_so = eval { &$poll };

		return $is_so if defined $is_so;
		last unless $@ =~ /Broken pipe/;
	}
	die $@;
};

1;
