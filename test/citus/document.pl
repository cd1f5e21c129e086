# Every block of SQL in the documents that is marked "make test-citus does", in
# order, on the coordinator of a cluster; each in a session of its own, which stops at
# an error.  Where output follows in the document, it ends with that.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Document;
use EngramkCitus;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @nodes = start_citus();
my ($coordinator) = @nodes;

# What the documents call a table of one's own
$coordinator->safe_psql('postgres', 'CREATE TABLE incoming AS SELECT * FROM plain WHERE embedding IS NOT NULL');

# Without the blanks that psql pads with
sub trimmed
{
	return join "\n", map { s/\s+$//r } grep { /\S/ } split /\n/, $_[0];
}

foreach my $file (glob "$FindBin::RealBin/*.md")
{
	my $document = Document->new($file);

	foreach my $block (grep { ($_->{'not run'} // '') eq 'make test-citus does' } $document->blocks())
	{
		my $name = ($file =~ s{.*/}{}r) . ":$block->{line}";
		my $expected = $document->expected_output($block);
		my ($out, $err);
		my $ran = IPC::Run::run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-P', 'pager=off', '-P', 'footer=off',
			$coordinator->connstr('postgres') ], '<', \$block->{text}, '>', \$out, '2>', \$err);

		ok($ran, "$name: it runs") or diag($err);
		note($out);
		unlike($out, qr/\| f +\|/, "$name: no node has refused");
		like(trimmed($out), qr/\Q@{[ trimmed($expected) ]}\E$/, "$name: what it prints") if defined $expected;
	}
}
$_->stop foreach @nodes;
done_testing();
