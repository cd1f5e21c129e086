# Reads documents without executing anything, and fails if there is
#
#   - a block of commands that execute.pl would not see: indented, in a fence of
#     tildes or in <pre> instead of one of ```, in a language that nobody runs,
#     or commands in a block of text that does not say why it is not run;
#   - output that follows no SQL;
#   - a link to a file or a heading that does not exist, or the name of a file of
#     test/, bench/ or docs/ that does not exist;
#   - a line of more than 120 characters that could be wrapped.
#
# Called by run.sh in the top directory with the documents as arguments.
use strict;
use warnings;

use File::Basename;
use FindBin;
use lib $FindBin::Bin;
use Document;

binmode STDOUT, ':encoding(UTF-8)';

my $command = qr{^\s*(?:[\$\#]\s+|sudo\s)?(?:[A-Z_]+=\S+\s+)*
	(?:(?:SELECT|WITH|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|SET|RESET|LOAD|GRANT|REVOKE|ANALYZE|VACUUM
		|REINDEX|CLUSTER|EXPLAIN|COPY|PREPARE|EXECUTE|BEGIN|TRUNCATE)\s
	|(?:psql|make|createdb|dropdb|cp|mv|rm|apt|apt-get|git|test/\S+|bench/\S+|\./\S+)(?:\s|$))}x;
my $wrong = 0;
my %headings;

sub complain
{
	my ($document, $line, $what) = @_;

	print "$document->{file}:$line: $what\n";
	$wrong++;
	return;
}

sub check_blocks
{
	my ($document) = @_;

	foreach my $block ($document->blocks())
	{
		my ($line, $language) = @{$block}{qw(line language)};

		if ($language eq '')
		{
			complain($document, $line, 'a block without a language must be the output of the SQL before it')
			  if !$block->{adjacent} || $block->{previous}{language} ne 'sql';
		}
		elsif ($Document::runs{$language} || $Document::runs_with_clients{$language})
		{
			next;
		}
		elsif (!$Document::never_runs{$language})
		{
			complain($document, $line, "nobody executes the language $language");
		}
		elsif ($language eq 'text' && !exists $block->{'not run'} && $block->{text} =~ /$command/m)
		{
			complain($document, $line, 'commands that are neither executed nor marked "not run"');
		}
	}
	return;
}

# Outside of blocks.
sub check_lines
{
	my ($document) = @_;
	my ($number, $blank, $fence) = (0, 1, 0);

	foreach my $line (@{ $document->{lines} })
	{
		$number++;
		if ($line =~ /^\s*```/)
		{
			$fence = !$fence;
		}
		elsif (!$fence)
		{
			complain($document, $number, 'an indented block of code; fence it')
			  if $blank && $line =~ /^(?: {4}|\t)\s*\S/;
			complain($document, $number, 'a block in another fence than ```')
			  if $line =~ /^\s*(?:~~~|<pre\b)/;
			complain($document, $number, 'more than 120 characters')
			  if length $line > 120 && $line !~ /^\s*\|/;
			check_names($document, $number, $line);
		}
		$blank = $line !~ /\S/;
	}
	return;
}

sub check_names
{
	my ($document, $number, $line) = @_;

	while ($line =~ /\]\(([^)\s]+)\)/g)
	{
		my ($file, $heading) = split /#/, $1, 2;

		next if $file =~ /^\w+:/;
		my $target = $file eq '' ? $document->{file} : dirname($document->{file}) . "/$file";
		if (!-e $target)
		{
			complain($document, $number, "there is no $file");
		}
		elsif (defined $heading && !headings_of($target)->{$heading})
		{
			complain($document, $number, "there is no heading $heading in $target");
		}
	}
	while ($line =~ m{(?<![\w./-])((?:test|bench|docs)/[\w./*-]*\w)}g)
	{
		my @found = glob $1;
		complain($document, $number, "there is no $1") if !grep { -e } @found and $1 ne 'bench/results';
	}
	return;
}

# As GitHub makes anchors of them.
sub headings_of
{
	my ($file) = @_;

	return $headings{$file} //= { map { $_ => 1 } map { s/[^\w\s-]//gr =~ s/\s/-/gr } map { lc }
		  map { /^#+\s+(.*?)\s*$/ ? $1 : () } @{ Document->new($file)->{lines} } };
}

foreach my $document (map { Document->new($_) } @ARGV)
{
	check_blocks($document);
	check_lines($document);
}
exit($wrong ? 1 : 0);
