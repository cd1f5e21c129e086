# Executes the commands of a document, in order, and stops at the first error.
# Called by run.sh in the top directory, beside a throwaway server.  Document.pm
# says what is executed and which directives there are.
#
# Blocks of SQL go to psql, which stops at an error, and those of sh to sh -eu.
# Every block has a psql or a shell of its own, so none leans on a setting, a LOAD
# or a prepared statement of another.  Where a block without a language follows, the
# output must end with it; an error is then no failure, if it is written there.
#
# LIBRARY is the library in place; KEEP has those that were kept, by version.
# Blocks of the drivers' languages are executed if NODE_TESTS is set, which
# test/clients does: to where npm has put its modules, or to nothing if it has none.
# JDBC_URL is the URL of shop; without it, java is skipped.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Document;

binmode STDOUT, ':encoding(UTF-8)';

my ($file) = @ARGV;
my $document = Document->new($file);
my %command = (
	sql => 'psql -X -q -P pager=off -P footer=off %s < "$KEEP/block" 2>&1',
	sh => 'sh -eu "$KEEP/block" < /dev/null 2>&1',
	python => '/usr/bin/python3 -B "$KEEP/block" 2>&1',
	js => 'cd "$NODE_TESTS" && node --input-type=module < "$KEEP/block" 2>&1',
	java => 'java --source 17 -cp /usr/share/java/postgresql.jar /dev/stdin < "$KEEP/block" 2>&1',
	ruby => 'ruby "$KEEP/block" 2>&1');
my %needs = (js => 'NODE_TESTS', java => 'JDBC_URL');
my ($executed, $skipped, $marked) = (0, 0, 0);

$ENV{PSQLRC} = '/dev/null';

sub execute
{
	my ($block, $expected) = @_;
	my $stop = defined $expected && $expected =~ /^ERROR:/m ? '' : '-v ON_ERROR_STOP=1';

	open my $out, '>:encoding(UTF-8)', "$ENV{KEEP}/block" or die "block: $!\n";
	print $out $block->{text};
	close $out;
	open my $in, '-|:encoding(UTF-8)', $command{ $block->{language} } =~ s{%s}{$stop}r or die "$!\n";
	my $output = join '', <$in>;
	return (close $in, $output);
}

# Without the blanks that psql pads with.
sub trimmed
{
	return join "\n", map { s/\s+$//r } grep { /\S/ } split /\n/, $_[0];
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

sub has_extension
{
	my ($name) = @_;
	my $found = qx(psql -X -A -t -d postgres -c "SELECT count(*) FROM pg_available_extensions WHERE name = '$name'");

	die "cannot read the extensions of the server\n" if $? != 0;
	return $found == 1;
}

# What is wrong with it, or nothing.
sub failure_of
{
	my ($block) = @_;
	my $expected = $document->expected_output($block);
	my $scans = $block->{scans} ? scans_of($block->{scans}) : 0;
	my ($ok, $output) = execute($block, $expected);

	print "$file:$block->{line}: $block->{language}\n$output" if $ENV{VERBOSE};
	return $output if !$ok;
	return "${output}The index $block->{scans} was not scanned.\n"
	  if $block->{scans} && scans_of($block->{scans}) <= $scans;
	return "${output}This is not the output that follows in the document.\n"
	  if defined $expected && trimmed($output) !~ /(?:^|\n)\Q@{[ trimmed($expected) ]}\E$/;
	return '';
}

sub is_skipped
{
	my ($block) = @_;
	my $needed = $needs{ $block->{language} };

	return !$Document::runs{ $block->{language} } && (!exists $ENV{NODE_TESTS} || $needed && !$ENV{$needed});
}

if ($document->{requires} && !has_extension($document->{requires}))
{
	print "$file: skipped, since the server does not have $document->{requires}\n";
	exit 0;
}
if ($document->{prepared} ne 'nothing')
{
	local $ENV{PGDATABASE} = 'postgres';
	system('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$FindBin::Bin/$document->{prepared}") == 0
	  or die "$document->{prepared} failed\n";
}

foreach my $block (grep { exists $command{ $_->{language} } } $document->blocks())
{
	local $ENV{PGDATABASE} = $block->{in} // 'shop';
	local $ENV{PGUSER} = $block->{as} // $ENV{PGUSER};

	$marked++, next if exists $block->{'not run'};
	$skipped++, next if is_skipped($block);
	my $failure = failure_of($block);
	if ($failure ne '')
	{
		print "$file:$block->{line}: $block->{language}\n$failure";
		exit 1;
	}
	$executed++;
}
print "$file: $executed blocks were executed",
  $marked ? ", $marked say why they are not" : '', $skipped ? ", $skipped are for test/clients" : '', "\n";
