# A user of the database drill, who asks without a pause until SIGTERM, or until whoever
# has started it is gone.
#
#	reader.pl FILE QUERY...
#
# Leaves a line in FILE for each kind of outcome: how often, the SQLSTATE, and the answer
# or what the error says.  A program of its own, since others hold its parent's pipes.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Session;
use Time::HiRes qw(usleep);

my ($file, @queries) = @ARGV;
my $parent = getppid();
my (%count, $stop);
$SIG{TERM} = sub { $stop = 1 };

my $session = Session->new(database => 'drill');
while (!$stop && getppid() == $parent)
{
	foreach my $query (@queries)
	{
		my $answer = $session->query($query);
		$count{ $session->sqlstate . ' ' . ($session->message || $answer) }++;
	}
	usleep(5_000);
}
open my $out, '>', $file or die "$file: $!\n";
print $out "$count{$_} $_\n" foreach sort keys %count;
close $out or die "$file: $!\n";
