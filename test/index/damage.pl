# Random bytes in the pages of an index, where no checksum of pages would notice:
# an error or a right answer, never a crash, never a wait without end, never a
# wrong answer.
#
# DAMAGED_INDEXES says how many indexes are damaged, each in one place.  Every other one
# has filter columns, and is asked with filters.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use PostgreSQL::Test::Utils;
use Test::More;

my $count = $ENV{DAMAGED_INDEXES} // 60;
my $seed = $ENV{DAMAGE_SEED} // int(rand(1_000_000));
srand($seed);

# restart_after_crash, or one crash would hide the others
my $node = start_index_node('damage',
	"restart_after_crash = on\nautovacuum = off\nstatement_timeout = '30s'", without_checksums => 1);

$node->safe_psql('postgres', "ALTER EXTENSION engramk UPDATE TO '1.8'") if makes_format_3();
sub is_filtered { return makes_format_3() && $_[0] % 2 == 0; }

# Tables of 600 rows; of 3,000 every fifth, which is more than a first pass of
# the smallest budget keeps.
$node->safe_psql('postgres', join(";\n", map {
	my $rows = $_ % 10 == 0 || $_ % 10 == 5 ? 3000 : 600;
	my $columns = is_filtered($_) ? 'v, tenant, moment' : 'v';
	"CREATE TABLE t$_ (id integer, v real[], tenant integer GENERATED ALWAYS AS (nullif(id % 5, 0)) STORED,
		moment timestamp GENERATED ALWAYS AS (timestamp '2024-01-01' + id * interval '1 hour') STORED)",
	"INSERT INTO t$_ (id, v) SELECT i, sample_vector(i) FROM generate_series(1, $rows) i",
	"CREATE INDEX t${_}_v ON t$_ USING engramk ($columns)"
} 1 .. $count));
my %file = map { $_ => $node->safe_psql('postgres', "SELECT pg_relation_filepath('t${_}_v')") } 1 .. $count;
like($node->safe_psql('postgres', 'SET enable_seqscan = off; EXPLAIN SELECT id FROM t2 WHERE tenant = 3 ORDER BY v <=> sample_vector(1) LIMIT 5'), qr/Index Cond: \(tenant = 3\)/, 'filters are the index\'s')
  if is_filtered(2);
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_class WHERE relname LIKE \'t%_v\' AND engram_index_check(oid) > 0'),
	$count, 'the indexes are right before');
$node->stop;

# A page in three is the first one, and a piece in eight a whole page.
sub damage
{
	my ($path) = @_;
	my $size = -s $path;
	my $page = rand() < 0.3 ? 0 : int(rand($size / 8192));
	my $length = (1, 1, 2, 4, 8, 64, 1024, 8192)[ rand(8) ];
	my $at = $length == 8192 ? 0 : rand() < 0.5 ? int(rand(24 + 64)) : int(rand(8192));
	my $what = rand() < 0.5 ? join('', map { chr(int(rand(256))) } 1 .. $length) :
	  (chr(255), chr(0), chr(127))[ rand(3) ] x $length;

	$length = 8192 - $at if $at + $length > 8192;
	overwrite($path, $page * 8192 + $at, substr($what, 0, $length));
	return sprintf('%d bytes at %d of page %d of %d', $length, $at, $page, $size / 8192);
}
my %damage = map { $_ => damage($node->data_dir . '/' . $file{$_}) } 1 .. $count;
$node->start;

my %outcomes;
my @bad;

# What became of a statement; `answer` is right if it is the expected one.
sub outcome
{
	my ($sql, $expected) = @_;
	my ($out, $err);
	my $code = $node->psql('postgres', $sql, stdout => \$out, stderr => \$err, timeout => 120);

	return $out =~ $expected ? 'right' : "wrong: $out" if $code == 0;
	return 'index is corrupted' if $err =~ /ERROR:  index "\w+" is corrupted/;
	return 'wait' if $err =~ /statement timeout/;
	return "error: $1" if $err =~ /ERROR:  ([^\n]*)/;
	$node->poll_query_until('postgres', 'SELECT true') or BAIL_OUT('the server is gone');
	return "crash: $err";
}

foreach my $n (1 .. $count)
{
	my @tries = (
		[ 'scan', answers_of("t$n", 20), qr/^$/ ],
		[ 'scan to the end', answers_of("t$n", 100000), qr/^$/ ],
		[ 'small budget', "SET engramk.arena_size = '64kB';" . answers_of("t$n", 100000), qr/^$/ ],
		[ 'check', "SELECT engram_index_check('t${n}_v') > 0", qr/^t$/ ],
		[ 'info', "SELECT dimensions > 0 FROM engram_index_info('t${n}_v')", qr/^t$/ ],
		[ 'insert', "INSERT INTO t$n (id, v) SELECT 10000 + i, sample_vector(i) FROM generate_series(10001, 10100) i", qr/^$/ ],
		[ 'delete and vacuum', "DELETE FROM t$n WHERE id % 3 = 0; VACUUM t$n", qr/^$/ ],
		[ 'scan afterwards', answers_of("t$n", 100), qr/^$/ ]);
	my @filtered = (
		[ 'scan of a filter', answers_of("t$n", 20, 'tenant = 3'), qr/^$/ ],
		[ 'scan to the end of a filter', answers_of("t$n", 100000, "tenant IS NULL AND moment > '2024-01-10'"), qr/^$/ ],
		[ 'small budget and a filter', "SET engramk.arena_size = '64kB';" . answers_of("t$n", 100000, "tenant IN (1, 2, 4)"), qr/^$/ ]);
	@tries = (@filtered, @tries, [ 'scan of a filter afterwards', answers_of("t$n", 100, 'tenant > 2'), qr/^$/ ]) if is_filtered($n);
	my $checked = '';
	foreach my $try (@tries)
	{
		my ($name, $sql, $expected) = @$try;
		my $got = outcome($sql, $expected);
		my $kind = $got =~ s/:.*//sr;

		$checked = $got if $name eq 'check';
		$outcomes{$name}{$kind}++;
		push @bad, [ $kind, "$name of t$n ($damage{$n}): $got" . ($checked ? " (check: $checked)" : '') ]
		  if $kind =~ /^(?:wrong|wait|crash)$/;
	}
}
foreach my $name (sort keys %outcomes)
{
	note("$name: " . join(', ', map { "$outcomes{$name}{$_} $_" } sort keys %{ $outcomes{$name} }));
}

# Nothing of it is for ever.
is($node->psql('postgres', join(';', map { "REINDEX INDEX t${_}_v" } 1 .. $count)), 0, 'REINDEX');
is($node->safe_psql('postgres', join(';', map { answers_of("t$_", 100) } 1 .. $count)) =~ s/\n//gr, '', 'makes all right again');
$node->stop;

foreach my $kind (qw(crash wait wrong))
{
	my @of_kind = map { $_->[1] } grep { $_->[0] eq $kind } @bad;
	is(scalar(@of_kind), 0, "no $kind") or diag("seed $seed:\n", join("\n", @of_kind));
}
done_testing();
