# Immediate shutdown in the middle of a build, of inserts and of a vacuum: after
# recovery every certificate of the index is true and it gives right answers.
#
# INDEX_CRASHES says how many times; each build is with or without a filter column.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $crashes = $ENV{INDEX_CRASHES} // 6;
my $rows = 20000;

# Buffers so few that pages are written at all times; vacuum in small steps, so
# that there is a middle.
my $node = start_index_node('crash',
	"autovacuum = off\nshared_buffers = 2MB\nvacuum_cost_delay = 1ms\nvacuum_cost_limit = 100");
$node->safe_psql('postgres', "ALTER EXTENSION engramk UPDATE TO '1.8'") if makes_format_3();
$node->safe_psql('postgres', qq{
	CREATE TABLE item (id serial, v vec, tenant integer DEFAULT nullif(floor(random() * 5)::integer, 0));
	CREATE UNLOGGED TABLE forgotten (id serial, v vec);
	CREATE INDEX forgotten_v ON forgotten USING engramk (v);
	CREATE TABLE stock AS SELECT sample_vector(i) AS v FROM generate_series(1, $rows) i;
	INSERT INTO item (v) SELECT v FROM stock;
	CREATE INDEX item_v ON item USING engramk (v);
});

sub pick_columns { return makes_format_3() && rand() < 0.5 ? 'v, tenant' : 'v'; }

# What is interrupted, and what shows that it has begun
my @work = (
	{
		name => 'a build',
		sql => 'DROP INDEX IF EXISTS item_v; CREATE INDEX item_v ON item USING engramk (COLUMNS)',
		begun => q{SELECT blocks_done > 0 OR tuples_done > 0 FROM pg_stat_progress_create_index}
	},
	{
		name => 'an insert',
		sql => 'INSERT INTO item (v) SELECT v FROM stock',
		begun => q{SELECT pg_relation_size('item_v') > size FROM before}
	},
	{
		name => 'inserts, each in a transaction of its own',
		sql => q{DO $$ DECLARE r record; BEGIN FOR r IN SELECT v FROM stock LOOP INSERT INTO item (v) VALUES (r.v); COMMIT; END LOOP; END $$},
		begun => q{SELECT count(*) > before.rows FROM item, before GROUP BY before.rows}
	},
	{
		name => 'a vacuum',
		prepare => 'DELETE FROM item WHERE id % 2 = 0',
		sql => 'VACUUM item',
		begun => q{SELECT phase IN ('vacuuming indexes', 'vacuuming heap') FROM pg_stat_progress_vacuum}
	},
	{
		name => 'inserts into what vacuum freed',
		prepare => 'DELETE FROM item WHERE id % 2 = 0; VACUUM (PARALLEL 0) item',
		sql => q{DO $$ DECLARE r record; BEGIN FOR r IN SELECT v FROM stock LOOP INSERT INTO item (v) VALUES (r.v); COMMIT; END LOOP; END $$},
		begun => q{SELECT count(*) > before.rows FROM item, before GROUP BY before.rows}
	},
	{
		name => 'an update of filters',
		sql => 'UPDATE item SET tenant = 3 WHERE id % 3 = 0',
		begun => q{SELECT count(*) > 0 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'UPDATE item%'}
	},
	{
		name => 'the first vectors of an empty table',
		prepare => 'TRUNCATE item; INSERT INTO item (v) SELECT NULL FROM generate_series(1, 3000)',
		sql => q{DO $$ DECLARE r record; BEGIN FOR r IN SELECT v FROM stock LOOP INSERT INTO item (v) VALUES (r.v); COMMIT; END LOOP; END $$},
		begun => q{SELECT count(*) > before.rows FROM item, before GROUP BY before.rows}
	});

my $interrupted = 0;
my $columns = 'v';
foreach my $crash (1 .. $crashes)
{
	my $work = $work[ ($crash - 1) % @work ];
	$columns = pick_columns() if $work->{name} eq 'a build';
	my $name = "crash $crash, in $work->{name} ($columns)";

	$node->safe_psql('postgres', qq{
		CREATE INDEX IF NOT EXISTS item_v ON item USING engramk ($columns);
		TRUNCATE forgotten;
		INSERT INTO forgotten (v) SELECT v FROM stock LIMIT 300;});
	foreach my $statement (split(/; /, $work->{prepare} // ''))
	{
		$node->safe_psql('postgres', $statement);
	}
	$node->safe_psql('postgres', q{
		DROP TABLE IF EXISTS before;
		CREATE TABLE before AS SELECT (SELECT count(*) FROM item) AS rows, pg_relation_size('item_v') AS size;});
	$node->safe_psql('postgres', 'CHECKPOINT') if rand() < 0.5;

	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $watch = $node->background_psql('postgres', on_error_stop => 0);
	my $sql = $work->{sql} =~ s/COLUMNS/$columns/r;
	$session->query_until(qr/begun/, "\\echo begun\n$sql;\n\\echo finished\n");
	my $begun = '';
	foreach my $attempt (1 .. 2000)
	{
		$begun = $watch->query($work->{begun});
		last if $begun =~ /t/;
		usleep(1000);
	}
	# somewhere in it
	usleep(int(rand(100_000)));
	$node->stop('immediate');
	$interrupted++ if $begun =~ /t/;
	eval { $_->quit } foreach ($session, $watch);
	$node->start;

	my $indexes = $node->safe_psql('postgres', "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE relname = 'item_v' AND indisvalid");
	if ($indexes)
	{
		my ($out, $err);
		$node->psql('postgres', "SELECT engram_index_check('item_v')", stdout => \$out, stderr => \$err);
		is($err, '', "$name: every certificate is true");
		is($node->safe_psql('postgres', answers_of('item', 100)), '', "$name: right answers");
		is($node->safe_psql('postgres', answers_of('item', 1000000)), '', "$name: right answers to the last row");
		is($node->safe_psql('postgres', answers_of('item', 100, 'tenant = 3')), '', "$name: right answers under a filter");
		is($node->safe_psql('postgres', answers_of('item', 1000000, 'tenant IS NULL')), '', "$name: to the last row of a filter");
	}
	is($node->safe_psql('postgres', "INSERT INTO item (v) SELECT sample_vector(i) FROM generate_series(100001, 100100) i;" . answers_of('item', 200)),
		'', "$name: and after more inserts");
	is($node->safe_psql('postgres', "SELECT count(*), dimensions FROM forgotten RIGHT JOIN engram_index_info('forgotten_v') f ON true GROUP BY 2"),
		'1|0', "$name: the unlogged index is empty again");
	if ($node->safe_psql('postgres', 'SELECT count(*) > 60000 FROM item') eq 't')
	{
		$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 3 > 0');
		$node->safe_psql('postgres', 'VACUUM item');
	}
}
cmp_ok($interrupted, '>=', $crashes / 2, 'most crashes hit what they were aimed at');
note("$interrupted of $crashes crashes came after the work had begun");
$node->stop;
done_testing();
