# Executes the commands of a document, in order, and stops at the first error.
# Called by run-documents.sh, beside a throwaway server.
#
# Executed are blocks fenced as ```sql (psql, which stops at an error), as ```sh
# (sh -eu), and as ```python, ```js, ```java and ```ruby; every block has a psql or
# a program of its own, so none leans on a setting or a LOAD of another.
# Everything else, as ```text, is not executed.  A comment in the lines before a
# block says where it runs, and what must be seen after it:
#
#	<!-- in: DATABASE -->	default shop, which documents.sql fills
#	<!-- as: ROLE -->	default is the superuser
#	<!-- scans: INDEX -->	the block was answered by this engramk index
#
# NODE_TESTS is where npm has put its modules, JDBC_URL the URL of shop; without
# them, js and java are skipped.
# LIBRARY is the library in place; KEEP has those that were kept, by version.
use strict;
use warnings;

use FindBin;

my ($document) = @ARGV;
my %command = (
	sql => 'psql -X -v ON_ERROR_STOP=1 2>&1',
	sh => 'sh -eu 2>&1',
	python => '/usr/bin/python3 -B - 2>&1',
	js => 'cd "$NODE_TESTS" && node --input-type=module 2>&1',
	java => 'java --source 17 -cp /usr/share/java/postgresql.jar /dev/stdin 2>&1',
	ruby => 'ruby - 2>&1');
my %needs = (js => 'NODE_TESTS', java => 'JDBC_URL');

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
			$directive{$1} = $2 while $line =~ /\b(in|as|scans): (\w+)/g;
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

# How often an index was scanned, by all sessions together.
sub scans_of
{
	my ($index) = @_;
	my $scans = qx(psql -X -A -t -c "SELECT coalesce(sum(scans), 0)
		FROM engram_stat_indexes WHERE indexrelname = '$index'");

	die "cannot read the scans of $index\n" if $? != 0;
	return $scans;
}

local $ENV{PGDATABASE} = 'postgres';
system('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$FindBin::Bin/documents.sql") == 0
  or die "documents.sql failed\n";

my ($executed, $skipped) = (0, 0);
foreach my $block (grep { exists $command{ $_->{language} } } blocks_of($document))
{
	local $ENV{PGDATABASE} = $block->{in} // 'shop';
	local $ENV{PGUSER} = $block->{as} // $ENV{PGUSER};
	my $needed = $needs{ $block->{language} };

	if ($needed && !$ENV{$needed})
	{
		$skipped++;
		next;
	}
	my $scans = $block->{scans} ? scans_of($block->{scans}) : 0;
	my ($ok, $output) = execute($block->{language}, $block->{text});

	if ($ok && $block->{scans} && scans_of($block->{scans}) <= $scans)
	{
		$ok = 0;
		$output .= "The index $block->{scans} was not scanned.\n";
	}
	$executed++;
	print "$document:$block->{line}: $block->{language}\n$output" if $ENV{VERBOSE} || !$ok;
	exit 1 if !$ok;
}
die "$document: there is nothing to execute\n" if $executed == 0;
print "$document: $executed blocks were executed", $skipped ? ", $skipped were skipped" : '', "\n";
