# Makes a session of background_psql answer in the same way whatever minor release
# PostgreSQL::Test is of.
#
# That of 16.2 leaves the end of the last line, which others take away.  That of 17.6 finds
# the end of an answer by a line of its own on stderr, and takes it away with the end of
# the line before: after an error, a warning or a notice the next one would not begin a
# line, and be waited for in vain.
package Answers;

use strict;
use warnings;

use PostgreSQL::Test::BackgroundPsql;

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

1;
