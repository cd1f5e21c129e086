# What the tests of the index share: a server; vectors, and comparing the index
# with a sequential scan in one statement, so that both see the same rows; and
# changing pages, sealed or not.
#
# The operators can use the index, the functions that they stand for cannot.
package EngramkIndex;

use strict;
use warnings;

use Answers;
use Exporter 'import';
use File::Basename;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(start_index_node makes_format_3 answers_of start_script finish_scripts overwrite seal);

# A running server with engramk and compare.sql in its database postgres, for vectors
# of the type VECTOR_TYPE, see vector_type.sql.  What is more goes to init(); without_checksums is for tests of damaged pages, since
# PostgreSQL's own checksums, which 18 has by default, would find what is meant
# for ours.
sub start_index_node
{
	my ($name, $settings, %init) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my @extra = ('--locale=C', '--encoding=UTF8');

	push @extra, '--no-data-checksums' if delete $init{without_checksums} && $node->{_pg_version} >= 18;
	$node->init(%init, extra => \@extra);
	$node->append_conf('postgresql.conf', $settings);
	$node->append_conf('postgresql.conf', "test.vector_type = '" . ($ENV{VECTOR_TYPE} // 'real[]') . "'");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION engramk');
	$node->safe_psql('postgres', slurp_file(dirname(__FILE__) . "/$_")) foreach 'vector_type.sql', 'compare.sql';
	return $node;
}

# Does CREATE INDEX make one of format 3, which VACUUM finds a basis for?
sub makes_format_3 { return ($ENV{ENGRAMK_DEFAULT_VERSION} // '') !~ /^1\.[0-5]$/; }

# For a connection that has the functions: '' if the index of a table gives what
# the sequential scan gives, of all rows or of those under a filter, else what is wrong.
sub answers_of
{
	my ($table, $k, $filter) = @_;

	$filter //= 'true';
	return "SELECT string_agg(finding, '; ') FROM generate_series(1, 4) AS n, compare('$table', n * 7, $k, \$\$$filter\$\$) AS finding";
}

# So many clients begin to run a script of pgbench, for so many seconds, with these options
# of the server; each script has a name of its own.
my $scripts;

sub start_script
{
	my ($node, $clients, $seconds, $name, $script, $options) = @_;
	my ($out, $err) = ('', '');

	$scripts //= PostgreSQL::Test::Utils::tempdir();
	append_to_file("$scripts/$name.sql", $script);
	local $ENV{PGOPTIONS} = $options // '';
	my $handle = IPC::Run::start([ 'pgbench', '-n', '-c', $clients, '-j', $clients, '-T', $seconds, '-f', "$scripts/$name.sql", $node->connstr('postgres') ],
		'>', \$out, '2>', \$err);
	return [ $name, $handle, \$out, \$err ];
}

# Waits for them: nobody failed, and everybody did something.
sub finish_scripts
{
	foreach my $one (@_)
	{
		my ($name, $handle, $out, $err) = @$one;

		ok($handle->finish, "$name: nobody failed") or diag($$err);
		unlike($$err, qr/ERROR|FATAL|aborted/, "$name: no error");
		like($$out, qr/actually processed: [1-9]/, "$name: something was done");
		note("$name: $1") if $$out =~ /actually processed: (\d+)/;
	}
	return;
}

# Writes bytes at a place of a file, past the server.
sub overwrite
{
	my ($path, $at, $bytes) = @_;

	open(my $handle, '+<:raw', $path) or die "$path: $!";
	seek($handle, $at, 0);
	print $handle $bytes;
	close($handle) or die "$path: $!";
	return;
}

my @crc_table = map {
	my $c = $_;
	$c = $c & 1 ? ($c >> 1) ^ 0x82F63B78 : $c >> 1 foreach 1 .. 8;
	$c
} 0 .. 255;

sub crc32c
{
	my $crc = 0xFFFFFFFF;

	$crc = $crc_table[ ($crc ^ $_) & 255 ] ^ ($crc >> 8) foreach unpack('C*', $_[0]);
	return $crc ^ 0xFFFFFFFF;
}

# What ek_page_seal() does: a CRC-32C of what is between the header and pd_lower,
# in the special space
sub seal
{
	my ($page) = @_;
	my $lower = unpack('v', substr($$page, 12, 2));
	my $covered = $lower > 24 && $lower <= 8192 ? substr($$page, 24, $lower - 24) : '';

	substr($$page, 8192 - 8, 4) = pack('V', crc32c($covered));
	return;
}

1;
