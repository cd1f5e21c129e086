# A crowd: eight sessions that insert, single rows and many, while VACUUM goes over to
# other bases and others scan, alone and in parallel, and delete.  Nobody fails, every
# row is found, and the index is hardly larger than one that one session fills.
#
# CROWD_SECONDS says for how long.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'earlier formats have one basis for good' if !makes_format_3();

my $seconds = $ENV{CROWD_SECONDS} // 4;
my $dims = 32;
my $node = start_index_node('crowd', "autovacuum = off\nmax_connections = 50\nmax_parallel_workers = 8\nshared_buffers = 16MB\nwal_keep_size = 0\nmax_wal_size = 1GB");
$node->safe_psql('postgres', slurp_file("$FindBin::RealBin/model.sql"));
$node->safe_psql('postgres', q{
	CREATE TABLE item (id serial, v vec);
	CREATE INDEX item_v ON item USING engramk (v);
	CREATE TABLE kind AS SELECT 0 AS now;});

my @running;

sub run_script
{
	my ($clients, $name, $script, $options) = @_;

	push @running, start_script($node, $clients, $seconds, $name, $script, $options);
	return;
}

run_script(8, 'insert', qq{\\set many random(1, 30)
INSERT INTO item (v) SELECT vectors_of((SELECT now FROM kind), $dims, 1);
INSERT INTO item (v) SELECT vectors_of((SELECT now FROM kind), $dims, :many);
BEGIN;
INSERT INTO item (v) SELECT vectors_of((SELECT now FROM kind), $dims, 2);
ROLLBACK;
});
run_script(1, 'vacuum', q{VACUUM item;
SELECT recoding FROM engram_index_info('item_v');
});
run_script(1, 'other', qq{UPDATE kind SET now = (now + 1) % 3;
DELETE FROM item WHERE id % 3 = 0 AND id < (SELECT max(id) FROM item) - 500;
SELECT pg_sleep(1);
});
run_script(1, 'scan', "\\set k random(1, 2000)\nSELECT must_not_differ('item', $dims, 1, :k);\n");
run_script(1, 'small', "\\set k random(1, 100000)\nSELECT must_not_differ('item', $dims, 1, :k);\n", '-c engramk.arena_size=64kB');
run_script(1, 'parallel', "\\set k random(1, 2000)\nSELECT must_not_differ('item', $dims, 1, :k);\n",
	'-c max_parallel_workers_per_gather=2 -c parallel_setup_cost=0 -c parallel_tuple_cost=0 -c min_parallel_table_scan_size=0 -c min_parallel_index_scan_size=0');
run_script(1, 'check', "SELECT engram_index_check('item_v');\n");

finish_scripts(@running);
is($node->safe_psql('postgres', "SELECT engram_index_check('item_v') = count(*) FROM item"), 't', 'every row has its entry');
is($node->safe_psql('postgres', "SELECT all_differences('item', $dims, 2, 1000000)"), '', 'every row is found');
$node->safe_psql('postgres', 'VACUUM item');
is($node->safe_psql('postgres', q{SELECT recoding, basis > 0 FROM engram_index_info('item_v')}), 'f|t', 'in the last basis');
is($node->safe_psql('postgres', "SELECT all_differences('item', $dims, 2, 1000000)"), '', 'and every row is found');

# Rows from as many sessions, and none deleted: as large as one session makes it.  Not as
# large as a new index: that may have room for shorter codes.
$node->safe_psql('postgres', 'TRUNCATE item');
@running = ();
run_script(8, 'only', "\\set many random(1, 30)\nINSERT INTO item (v) SELECT vectors_of(0, $dims, :many);\n");
run_script(1, 'beside', "VACUUM item;\n");
finish_scripts(@running);
my ($pages, $by_one, $rows) = split(/\|/, $node->safe_psql('postgres', q{
	CREATE TABLE one (v vec);
	CREATE INDEX one_v ON one USING engramk (v);
	INSERT INTO one SELECT v FROM item;
	VACUUM one;
	SELECT a.pages, b.pages, (SELECT count(*) FROM item) FROM engram_index_info('item_v') AS a, engram_index_info('one_v') AS b}));
note("$pages pages for $rows rows, where one session needs $by_one");
# of eight sessions each may have a page of its own, with its fine pages
cmp_ok($pages, '<=', 1.05 * $by_one + 100, 'the index is hardly larger than one session makes it');
is($node->safe_psql('postgres', "SELECT engram_index_check('item_v') = count(*) FROM item"), 't', 'every row has its entry');
unlike(slurp_file($node->logfile), qr/TRAP:|PANIC:/, 'no process crashed');
$node->stop;
done_testing();
