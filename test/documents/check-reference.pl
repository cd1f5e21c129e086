# Compares docs/reference.md with the sources, and fails if it lacks
#
#   - a message of ours with its SQLSTATE, in the table of errors;
#   - a function, a procedure, an aggregate, a view, a type or an operator of the SQL scripts, but for
#     those that are part of an aggregate or stand behind a view;
#   - a parameter;
#   - an operation that is counted.
#
# Called by run.sh in the top directory.
use strict;
use warnings;

my $wrong = 0;
my $reference = slurp('docs/reference.md');
my ($errors) = $reference =~ /^## Errors\n(.*?)^## /ms or die "the reference has no errors\n";
my @sources = split /\n/, qx(find src -name '*.c');
my @scripts = glob 'sql/engramk--*.sql';

sub slurp
{
	my ($file) = @_;

	open my $in, '<', $file or die "$file: $!\n";
	local $/ = undef;
	return scalar <$in>;
}

sub complain
{
	my ($what) = @_;

	print "docs/reference.md lacks $what\n";
	$wrong++;
	return;
}

# What a format prints, as a pattern.
sub pattern_of
{
	my ($format) = @_;

	return join '.+?', map { quotemeta } split /%(?:[\d.]*(?:z|l|ll)?[dus])/, $format =~ s/\\"/"/gr, -1;
}

foreach my $source (@sources)
{
	my $text = slurp($source);

	# an error that somebody else has raised keeps its SQLSTATE, whatever it is
	while ($text =~ /(?:errcode\((?:ERRCODE_)?(\w+)\),\s*)?errmsg(?:_plural|_internal)?\(("(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*)/g)
	{
		my ($code, $message) = (lc($1 // 'successful_completion'), $2);

		$code = '\w+' if $code eq 'sqlstate';
		$message =~ s/^"|"$//g;
		$message =~ s/(?<!\\)"\s*"//g;
		$code =~ s/^(?:t_r|s_r_e)_//;
		my $pattern = pattern_of($message);
		complain("the message \"$message\" as $code ($source)")
		  if $errors !~ /^\| \w{5} `$code` \|[^|]*`$pattern/m;
	}
}

my $all = join '', map { slurp($_) } @scripts;
while ($all =~ /\bRAISE (\w+) USING MESSAGE =\s*(?:pg_catalog\.format\()?'([^']+)'/g)
{
	my ($code, $message) = ($1, $2);
	my $pattern = pattern_of($message);

	complain("the message \"$message\" as $code (sql)")
	  if $errors !~ /^\| \w{5} `$code` \|[^|]*`$pattern/m;
}
my %part = map { $_ => 1 } $all =~ /^COMMENT ON FUNCTION (\w+)\([^)]*\) IS '(?:part of)/mg;
my %seen;
foreach my $name ($all =~ /^CREATE (?:FUNCTION|PROCEDURE|AGGREGATE|VIEW|TYPE|OPERATOR CLASS) (\w+)/mg)
{
	next if $part{$name} || $name =~ /^engram_stat_get_|^engramk_handler$/ || $seen{$name}++;
	complain("$name") if $reference !~ /\b$name\b/;
}
foreach my $operator ($all =~ /^CREATE OPERATOR ([^\w\s]+)/mg)
{
	complain("the operator $operator") if $reference !~ /`a \Q$operator\E b`/;
}
foreach my $parameter (slurp((grep { m{/guc\.c$} } @sources)[0]) =~ /DefineCustom\w+Variable\("([^"]+)"/g)
{
	complain("the parameter $parameter") if $reference !~ /^### $parameter$/m;
}
my ($operations) = slurp((grep { m{/stats\.c$} } @sources)[0]) =~ /((?:\[EK_\w+\] = "\w+",?\s*)+)/;
foreach my $operation ($operations =~ /"(\w+)"/g)
{
	complain("the operation $operation") if $reference !~ /^\| `operation` .*`$operation`/m;
}
exit($wrong ? 1 : 0);
