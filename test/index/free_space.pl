# Garbage in the free space map of an index, which PostgreSQL does not log: inserts
# find a page all the same, the index stays right, and it does not grow as if no
# page had room.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{FREE_SPACE_MAPS} // 12;
my $seed = $ENV{FREE_SPACE_SEED} // int(rand(1_000_000));
srand($seed);

use constant { PAGE => 8192, HEADER => 24 };

my $node = start_index_node('free_space',
	"restart_after_crash = on\nautovacuum = off\nstatement_timeout = '60s'\njit = off\nfsync = off", without_checksums => 1);

# Half of the rows are gone, so that every page has room.
$node->safe_psql('postgres', q{
	CREATE TABLE t (id integer, v vec);
	CREATE INDEX t_v ON t USING engramk (v);
	INSERT INTO t SELECT i, sample_vector(i) FROM generate_series(1, 4000) AS i;
	DELETE FROM t WHERE id % 2 = 0;
	VACUUM t;
});
my $format = $node->safe_psql('postgres', q{SELECT format FROM engram_index_info('t_v')});
if ($format < 3)
{
	$node->stop;
	plan skip_all => "format $format has no free space map";
}

# What becomes of the map; a header that PostgreSQL finds to be wrong makes it begin anew
my %garbage = (
	'of random bytes' => sub { join('', map { chr(int(rand(256))) } 1 .. PAGE - HEADER) },
	'that says that all have room' => sub { chr(255) x (PAGE - HEADER) },
	'that says that few have room' => sub { join('', map { rand() < 0.001 ? chr(255) : chr(0) } 1 .. PAGE - HEADER) },
	'that says that none has room' => sub { chr(0) x (PAGE - HEADER) },
	'with a little room everywhere' => sub { chr(1) x (PAGE - HEADER) },
	'with room and no way to it' => sub { chr(0) x 4100 . chr(255) x (PAGE - HEADER - 4100) },
	'with ways to no room' => sub { chr(255) x 4100 . chr(0) x (PAGE - HEADER - 4100) });

sub spoil
{
	my ($path, $bytes, $which) = @_;
	my $pages = -e $path ? (-s $path) / PAGE : 0;

	foreach my $page (0 .. $pages - 1)
	{
		overwrite($path, $page * PAGE + HEADER, $bytes->()) if $which eq 'all' || ($which eq 'leaves') == ($page >= 2);
	}
	return $pages;
}

my $path = $node->data_dir . '/' . $node->safe_psql('postgres', q{SELECT pg_relation_filepath('t_v')}) . '_fsm';
my $id = 10_000;
my $kinds = 0;
foreach my $round (1 .. $rounds)
{
	my $kind = (sort keys %garbage)[ $round % keys %garbage ];
	my $which = (qw(all leaves roots))[ rand(3) ];
	my $size = $node->safe_psql('postgres', q{SELECT pg_relation_size('t_v')});

	$node->stop;
	ok(spoil($path, $garbage{$kind}, $which) > 0, "$round: a map $kind, $which of it");
	if ($round % 7 == 0)
	{
		# none at all, or an end in the middle
		truncate($path, rand() < 0.5 ? 0 : PAGE * 2 + 100) or die "$path: $!";
	}
	$node->start;

	my @sessions = map {
		my $first = $id += 1000;
		my ($out, $err) = ('', '');
		[ IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1', '-c',
				"INSERT INTO t SELECT i, sample_vector(i) FROM generate_series($first, $first + 299) AS i" ], '>', \$out, '2>', \$err), \$err ]
	} 1 .. 3;
	my $failed = 0;
	foreach my $session (@sessions)
	{
		$session->[0]->finish;
		$failed++ if $session->[0]->result != 0;
		diag(${ $session->[1] }) if ${ $session->[1] };
	}
	is($failed, 0, "$round: inserts");
	is($node->safe_psql('postgres', q{SELECT engram_index_check('t_v') = (SELECT count(*) FROM t)}), 't', "$round: the check");
	is($node->safe_psql('postgres', answers_of('t', 50)), '', "$round: answers");
	cmp_ok($node->safe_psql('postgres', q{SELECT pg_relation_size('t_v')}), '<', 3 * $size, "$round: its size");
	$node->safe_psql('postgres', "DELETE FROM t WHERE id >= 10000 AND id % 4 <> 0; VACUUM t");
}
$node->stop;
diag("seed $seed") if !Test::More->builder->is_passing;
done_testing();
