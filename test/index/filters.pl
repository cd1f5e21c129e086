# Filter columns while everything else happens: eight sessions that insert and change
# them, VACUUM that goes over to other bases, crashes, and a standby that compares each
# page it replays with the primary's.  Scans under filters, within radii, alone and in
# parallel, find what the sequential scan finds.
#
# FILTERS_SECONDS says how long the sessions run, and FILTERS_CRASHES how many crashes there
# are.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'earlier versions have no filter columns' if !makes_format_3();

my $seconds = $ENV{FILTERS_SECONDS} // 3;
my $crashes = $ENV{FILTERS_CRASHES} // 2;
my $dims = 32;
my $primary = start_index_node('filters', "wal_consistency_checking = 'generic'\nautovacuum = off\nmax_connections = 50\nmax_parallel_workers = 8\nmax_wal_size = 1GB\nwal_keep_size = 1GB",
	allows_streaming => 1);
$primary->safe_psql('postgres', slurp_file("$FindBin::RealBin/model.sql"));
$primary->safe_psql('postgres', q{
	CREATE TABLE item (id serial, v vec, tenant integer, moment timestamptz, name text);
	CREATE INDEX item_v ON item USING engramk (v, tenant, moment, name);

	CREATE FUNCTION any_filtered_differences(dims integer, queries integer) RETURNS text LANGUAGE sql VOLATILE AS $$
		SELECT string_agg(d, '; ') FROM (SELECT q FROM some_queries(dims, queries) AS q LIMIT queries) AS x,
			(SELECT f FROM unnest(ARRAY['tenant = 3', 'tenant IN (1, 5, 7, 8, 9, 11)', 'tenant < 2::bigint', 'tenant IS NULL', 'name = ''n5''', 'name IN (''n1'', ''n2'')',
				'moment > ''2024-06-01''', 'tenant = 1 AND name = ''n1''', 'tenant > 15 AND moment < ''2024-02-01''', 'v IS NOT NULL AND tenant = 2', 'tenant = 77']) AS f
				ORDER BY random() LIMIT 3) AS f,
			LATERAL (SELECT differs('item', q, k, f) FROM unnest(ARRAY[3, 100, 1000000]) AS k UNION ALL SELECT differs_within('item', q, f)) AS n (d)
	$$;});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('filters_standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

my $workers = '-c max_parallel_workers_per_gather=2 -c parallel_setup_cost=0 -c parallel_tuple_cost=0 -c min_parallel_table_scan_size=0 -c min_parallel_index_scan_size=0';
my $insert = "INSERT INTO item (v, tenant, moment, name) SELECT * FROM filtered_rows((random() * 2)::int, $dims, :many);\n";
my @running;

sub run_script
{
	my ($clients, $name, $script, $options) = @_;

	push @running, start_script($primary, $clients, $seconds, $name, $script, $options);
	return;
}

sub must_be_right
{
	my ($node, $name) = @_;

	is($node->safe_psql('postgres', "SELECT engram_index_check('item_v') = count(*) FROM item"), 't', "$name: every row has its entry and its codes");
	is($node->safe_psql('postgres', "SELECT any_filtered_differences($dims, 4)"), '', "$name: right answers");
	local $ENV{PGOPTIONS} = $workers;
	is($node->safe_psql('postgres', "SELECT any_filtered_differences($dims, 2)"), '', "$name: in parallel");
	return;
}

sub must_be_right_on_both
{
	my ($name) = @_;

	must_be_right($primary, $name);
	$primary->wait_for_catchup($standby);
	must_be_right($standby, "$name, the standby");
	return;
}

$primary->safe_psql('postgres', "INSERT INTO item (v, tenant) SELECT NULL, i % 20 FROM generate_series(1, 50) i");
run_script(8, 'insert', "\\set many random(1, 20)\n$insert" . "BEGIN;\n${insert}ROLLBACK;\n");
run_script(1, 'change', "UPDATE item SET tenant = 3 WHERE id = (SELECT max(id) - 10 FROM item);\nDELETE FROM item WHERE id % 5 = 0 AND id < (SELECT max(id) FROM item) - 500;\n");
run_script(1, 'vacuum', "VACUUM item;\nSELECT pg_sleep(0.2);\n");
run_script(1, 'scan', "SELECT 1 / (any_filtered_differences($dims, 1) IS NULL)::int;\n");
run_script(1, 'small', "SELECT 1 / (any_filtered_differences($dims, 1) IS NULL)::int;\n", '-c engramk.arena_size=64kB');
run_script(1, 'parallel', "SELECT 1 / (any_filtered_differences($dims, 1) IS NULL)::int;\n", $workers);
finish_scripts(@running);
must_be_right_on_both('after a crowd');

# Whatever was logged is there after a crash, filter codes too
foreach my $round (1 .. $crashes)
{
	$primary->safe_psql('postgres', 'CHECKPOINT') if $round % 2 == 0;
	$primary->safe_psql('postgres', $insert =~ s/:many/700/r);
	$primary->safe_psql('postgres', 'UPDATE item SET name = \'n5\' WHERE id % 7 = 0');
	$primary->stop('immediate');
	$primary->start;
	must_be_right_on_both("after crash $round");
}
$primary->safe_psql('postgres', 'DELETE FROM item WHERE id % 3 = 0');
$primary->safe_psql('postgres', 'VACUUM item');
$primary->safe_psql('postgres', $insert =~ s/:many/700/r);
must_be_right_on_both('in entries that are used again');
$primary->safe_psql('postgres', 'REINDEX INDEX item_v');
must_be_right_on_both('built again');

# A cursor sees what its snapshot has, whatever happens to filters meanwhile
my $cursor = $primary->background_psql('postgres');
$cursor->query_safe('SET enable_seqscan = off');
$cursor->query_safe('BEGIN');
$cursor->query_safe("DECLARE c CURSOR FOR SELECT v <=> (SELECT v[1:$dims]::vec FROM stock WHERE kind = 1 AND i = 5) FROM item WHERE tenant = 3 ORDER BY 1");
my $expected = $primary->safe_psql('postgres', "SET enable_indexscan = off; SELECT v <=> (SELECT v[1:$dims]::vec FROM stock WHERE kind = 1 AND i = 5) FROM item WHERE tenant = 3 ORDER BY 1");
my $first = $cursor->query_safe('FETCH 5 FROM c');
$primary->safe_psql('postgres', 'UPDATE item SET tenant = 4 WHERE tenant = 3');
$primary->safe_psql('postgres', 'VACUUM item');
$primary->safe_psql('postgres', $insert =~ s/:many/700/r);
is("$first\n" . $cursor->query_safe('FETCH ALL FROM c'), $expected, 'a cursor goes on with its own rows');
$cursor->quit;

$standby->promote;
is($standby->safe_psql('postgres', $insert =~ s/:many/300/r . 'VACUUM item'), '', 'a promoted standby goes on') or diag('insert');
must_be_right($standby, 'promoted');
foreach my $node ($primary, $standby)
{
	unlike(slurp_file($node->logfile), qr/TRAP:|PANIC:|inconsistent page/, $node->name . ': no process crashed');
	$node->stop;
}
done_testing();
