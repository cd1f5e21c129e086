# Executes the commands of a document, in order, and stops at the first error.
# Called by run-documents.sh, beside a throwaway server.
#
# Executed are blocks fenced as ```sql (psql, which stops at an error) and as
# ```sh (sh -eu); every block has a psql or a shell of its own, so none leans on
# a setting or a LOAD of another.  Everything else, as ```text, is not executed.
# A comment in the lines before a block says where it runs:
#
#	<!-- in: DATABASE -->	default shop, which documents.sql fills
#	<!-- as: ROLE -->	default is the superuser
#
# LIBRARY is the library in place; KEEP has those that were kept, by version.
use strict;
use warnings;

use FindBin;

my ($document) = @ARGV;
my %command = (
	sql => 'psql -X -v ON_ERROR_STOP=1 2>&1',
	sh => 'sh -eu 2>&1');

$ENV{PSQLRC} = '/dev/null';

# Every block with its line, its language and its directives.
sub blocks_of
{
	my ($file) = @_;
	my (@blocks, %directive, $inside);

	open my $in, '<', $file or die "$file: $!\n";
	while (my $line = <$in>)
	{
		if (defined $inside)
		{
			undef $inside, next if $line =~ /^```\s*$/;
			$inside->{text} .= $line;
		}
		elsif ($line =~ /^```(\w*)\s*$/)
		{
			$inside = { line => $., language => $1, text => '', %directive };
			%directive = ();
			push @blocks, $inside;
		}
		elsif ($line =~ /^<!--/)
		{
			$directive{$1} = $2 while $line =~ /\b(in|as): (\w+)/g;
		}
		elsif ($line =~ /\S/)
		{
			%directive = ();
		}
	}
	die "$file: a block is not closed\n" if defined $inside;
	return @blocks;
}

sub execute
{
	my ($language, $text) = @_;
	my $input = "$ENV{KEEP}/block";

	open my $out, '>', $input or die "$input: $!\n";
	print $out $text;
	close $out;
	my $output = qx($command{$language} < '$input');
	return ($? == 0, $output);
}

local $ENV{PGDATABASE} = 'postgres';
system('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$FindBin::Bin/documents.sql") == 0
  or die "documents.sql failed\n";

my $executed = 0;
foreach my $block (grep { exists $command{ $_->{language} } } blocks_of($document))
{
	local $ENV{PGDATABASE} = $block->{in} // 'shop';
	local $ENV{PGUSER} = $block->{as} // $ENV{PGUSER};
	my ($ok, $output) = execute($block->{language}, $block->{text});

	$executed++;
	print "$document:$block->{line}: $block->{language}\n$output" if $ENV{VERBOSE} || !$ok;
	exit 1 if !$ok;
}
die "$document: there is nothing to execute\n" if $executed == 0;
print "$document: $executed blocks were executed\n";
