# What happens to a cluster: shards move and are split, a node goes down and comes
# back, SIMD is turned off on all nodes, and one statement asks for the statistics
# and the checks of all shards.  Clients ask for neighbours all the while, and get
# the rows and the bits of one plain table, or an error where a node is missing.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkCitus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @nodes = start_citus();
my ($coordinator, @workers) = @nodes;

sub run { return $coordinator->safe_psql('postgres', $_[0]); }

sub all_answers_are_right
{
	my ($name) = @_;

	is(run("SELECT differing('$_', 40, 10)"), '0', "$name: $_") foreach qw(by_id by_tenant reference local);
	is(run(q{SELECT differing('by_tenant', 10, 10, 'tenant_id = 7')}), '0', "$name: one tenant");
	return;
}

# engram_index_check of all shards: the number of rows that it compared, by table
my $checked = q{
	SELECT t.logicalrelid, sum(t.rows) FROM (
		SELECT s.logicalrelid, (c.value)::bigint AS rows
		FROM (SELECT DISTINCT logicalrelid FROM pg_dist_shard) AS s, LATERAL run_command_on_shards(s.logicalrelid,
			$$SELECT json_object_agg(c.relname, engram_index_check(c.oid)) FROM pg_index AS i
			JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam
			WHERE i.indrelid = '%s'::regclass AND a.amname = 'engramk' AND i.indisvalid$$) AS r,
			json_each_text(r.result::json) AS c) AS t
	GROUP BY 1 ORDER BY 1};
my $all_rows = "by_id|6000\nby_tenant|6000\nreference|6000\nlocal|6000";

all_answers_are_right('before');
is(run($checked), $all_rows, 'every certificate of every shard is true');

my ($own, $notice);
$coordinator->psql('postgres', q{SELECT engram_index_check('by_id_embedding')}, stdout => \$own, stderr => \$notice);
is($own, '0', 'the index of the coordinator itself has no rows');
like($notice, qr/NOTICE:  index "by_id_embedding" has no rows to check/, 'and says so');

# Moves and splits

sub node_id { return run("SELECT nodeid FROM pg_dist_node WHERE nodeport = @{[ $_[0]->port ]}"); }

# Moves the first shard of a table to another worker.
sub move
{
	my ($table, $mode) = @_;
	my ($shard, $port) = split /\|/, run("SELECT shardid, nodeport FROM citus_shards
		WHERE table_name = '$table'::regclass ORDER BY shardid LIMIT 1");
	my ($target) = grep { $_->port != $port } @workers;

	run("SELECT citus_move_shard_placement($shard, (SELECT nodeid FROM pg_dist_node
		WHERE nodeport = $port), @{[ node_id($target) ]}, '$mode')");
	is(run("SELECT nodeport FROM citus_shards WHERE shardid = $shard"), $target->port, "$table: a shard moves, $mode");
	return;
}

# Splits the last shard of a table in its middle, between two workers.
sub split_shard
{
	my ($table, $mode) = @_;
	my ($shard, $low, $high) = split /\|/,
	  run("SELECT shardid, shardminvalue, shardmaxvalue FROM pg_dist_shard WHERE logicalrelid = '$table'::regclass
		ORDER BY shardid DESC LIMIT 1");
	my $middle = int(($low + $high) / 2);
	my $before = run("SELECT count(*) FROM citus_shards WHERE table_name = '$table'::regclass");

	run("SELECT citus_split_shard_by_split_points($shard, ARRAY['$middle'],
		ARRAY[@{[ node_id($workers[0]) ]}, @{[ node_id($workers[1]) ]}], '$mode')");
	is(run("SELECT count(*) FROM citus_shards WHERE table_name = '$table'::regclass"), $before + 1,
		"$table: a shard is split, $mode");
	return;
}

# What Citus says if it splits a shard between the plan of a query and its execution
my $split_meanwhile = qr/^could not find valid entry for shard \d+/;
my $load;

foreach my $mode (qw(force_logical block_writes))
{
	$load = start_load($coordinator, 3);
	move($_, $mode) foreach qw(by_id by_tenant);
	stop_load($load, "moves, $mode");
	$load = start_load($coordinator, 3);
	split_shard($_, $mode) foreach qw(by_id by_tenant);
	stop_load($load, "splits, $mode", $split_meanwhile);
	all_answers_are_right($mode);
	is(run($checked), $all_rows, "$mode: every certificate of every shard is true");
}
$load = start_load($coordinator, 3);
my $alone = run("SELECT isolate_tenant_to_new_shard('by_tenant', 7, shard_transfer_mode => 'block_writes')");
is(run(q{SELECT differing('by_tenant', 20, 10, 'tenant_id = 7')}), '0', 'a tenant with a shard of its own');
is(run(qq{SELECT result FROM run_command_on_shards('by_tenant', 'SELECT count(*) FROM %s') WHERE shardid = $alone}),
	'300', 'which has its rows');
stop_load($load, 'a tenant by itself', $split_meanwhile);
is(run(q{SELECT string_agg(result, ',') FROM run_command_on_all_nodes('SELECT count(*) FROM engram_slow_indexes')
	WHERE result <> '0'}),
	'', 'no shard has a slow index after it');

# Statistics of all nodes in one statement

my $scans = run(q{
	SELECT sum(s.scans) FROM run_command_on_all_nodes(
		$$SELECT coalesce(json_agg(s), '[]') FROM engram_stat_indexes AS s$$) AS r,
		json_to_recordset(r.result::json) AS s(relname text, scans bigint)
	WHERE s.relname LIKE 'by\_id\_%'});
cmp_ok($scans, '>', 100, 'the scans of all shards');
my $counted = q{
	SELECT coalesce(sum(k.calls), 0) FROM run_command_on_all_nodes(
		$$SELECT json_agg(k) FROM engram_stat_kernels AS k$$) AS r,
		json_to_recordset(r.result::json) AS k(operation text, level text, calls bigint)
	WHERE k.level = 'scalar'};
is(run($counted), '0', 'no kernel of level scalar on any node');

# SIMD off on all nodes

is(join(' ', on_all_nodes($coordinator, q{LOAD 'engramk'; ALTER SYSTEM SET engramk.simd = off})), 'LOAD LOAD LOAD LOAD',
	'two statements in one string');
is(join(' ', on_all_nodes($coordinator, q{SELECT count(*) FROM pg_file_settings WHERE name = 'engramk.simd'})),
	'0 0 0 0',
	'change nothing, and say so by their answer only');

$load = start_load($coordinator, 3);
is(join(' ', on_all_nodes($coordinator, 'ALTER SYSTEM SET engramk.simd = off')), join(' ', ('ALTER SYSTEM') x 4),
	'ALTER SYSTEM on all nodes');
is(join(' ', on_all_nodes($coordinator, 'SELECT pg_reload_conf()')), 't t t t', 'reload on all nodes');
foreach my $node (@nodes)
{
	# a new session has it, so all others have been told; what runs ends as it began
	$node->poll_query_until('postgres', q{SELECT current_setting('engramk.simd') = 'off'}) or die 'no reload';
	my $now = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
	$node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE state = 'active' AND query_start < '$now'")
	  or die 'a statement does not end';
	is($node->safe_psql('postgres', 'SELECT level FROM engram_simd_info() WHERE active'), 'scalar',
		$node->name . ': a new session is at scalar');
}
is(join(' ', on_all_nodes($coordinator, 'SELECT level FROM engram_simd_info() WHERE active')),
	'scalar scalar scalar scalar',
	'the cached connections of the coordinator are at scalar');
is(join(' ', on_all_nodes($coordinator, 'SELECT engram_stat_reset() IS NOT NULL')), 't t t t', 'count anew');
all_answers_are_right('simd off');
stop_load($load, 'simd off on all nodes');
my $others = $counted =~ s/= 'scalar'/<> 'scalar' AND k.calls > 0/r;
is(run($others), '0', 'no kernel of another level on any node since then');
cmp_ok(run($counted), '>', 0, 'but those of level scalar');
is(join(' ', on_all_nodes($coordinator, 'ALTER SYSTEM RESET engramk.simd')), join(' ', ('ALTER SYSTEM') x 4),
	'and back');
is(join(' ', on_all_nodes($coordinator, 'SELECT pg_reload_conf()')), 't t t t', 'reload on all nodes');

# A node that does not load the library for every session
my $forgetful = $workers[0];
$forgetful->append_conf('postgresql.conf', "session_preload_libraries = ''");
$forgetful->restart;
run("SELECT count(*) FROM by_id") =~ /6000/ or die 'the node does not come back';
is(run(q{SELECT count(*) || ' ' || min(result) FROM run_command_on_all_nodes('ALTER SYSTEM SET engramk.simd = off')
	WHERE NOT success}),
	'1 ERROR:  unrecognized configuration parameter "engramk.simd"',
		'a node without it refuses, and says so in its row');
is(join(' ', on_all_nodes($coordinator, q{ALTER SYSTEM SET session_preload_libraries = 'engramk'})),
	join(' ', ('ALTER SYSTEM') x 4),
	'it can be told from the coordinator');
is(join(' ', on_all_nodes($coordinator, 'SELECT pg_reload_conf()')), 't t t t', 'and reloaded');
$forgetful->poll_query_until('postgres', q{SELECT current_setting('session_preload_libraries') = 'engramk'})
  or die 'no reload';
is(join(' ', on_all_nodes($coordinator, 'ALTER SYSTEM SET engramk.simd = off')), join(' ', ('ALTER SYSTEM') x 4),
	'then a new session of the coordinator reaches all');
is(join(' ', on_all_nodes($coordinator, 'ALTER SYSTEM RESET engramk.simd')), join(' ', ('ALTER SYSTEM') x 4),
	'and back');
is(join(' ', on_all_nodes($coordinator, 'SELECT pg_reload_conf()')), 't t t t', 'reload on all nodes');

$forgetful->append_conf('postgresql.conf', "shared_preload_libraries = 'citus, engramk'");
is(join(' ', on_all_nodes($coordinator, 'ALTER SYSTEM RESET session_preload_libraries')),
	join(' ', ('ALTER SYSTEM') x 4),
	'a node that has it in shared_preload_libraries instead');
$forgetful->restart;
is($forgetful->safe_psql('postgres', 'SHOW session_preload_libraries'), '', 'and not in session_preload_libraries');
is(join(' ', on_all_nodes($coordinator, 'ALTER SYSTEM RESET engramk.simd')), join(' ', ('ALTER SYSTEM') x 4),
	'is reached as well');

# A node down

my $down = $workers[1];
my $there = run("SELECT array_agg(DISTINCT tenant_id) FROM by_tenant
	WHERE get_shard_id_for_distribution_column('by_tenant', tenant_id)
	IN (SELECT shardid FROM citus_shards WHERE nodeport <> @{[ $down->port ]})");
my ($elsewhere) = $there =~ /(\d+)/;
$down->stop('immediate');
my $query = 'SELECT id FROM by_id ORDER BY embedding <=> sample_vector(77) LIMIT 10';
like(error_of($coordinator, $query), qr/connection to the remote node .*:@{[ $down->port ]} failed/,
	'a node down: an error that names it');
is(sqlstate_of($coordinator, $query), '08006', 'a node down: connection_failure');
is(run("SELECT differing('by_tenant', 10, 10, 'tenant_id = $elsewhere')"), '0',
	'a node down: tenants elsewhere are answered');
is(run("SELECT differing('reference', 10, 10)"), '0', 'a node down: reference tables are answered');
is(run("SELECT differing('local', 10, 10)"), '0', 'a node down: local tables are answered');
is(run("SELECT count(*) FROM run_command_on_all_nodes('SELECT 1') WHERE NOT success"), '1',
	'a node down: run_command_on_all_nodes says so in its row');
is(sqlstate_of($coordinator, q{SELECT engram_nearest_merge(nullif(result, '')::engram_match[], 10)
	FROM run_command_on_shards('by_id',
	'SELECT engram_nearest(id, embedding, (SELECT embedding FROM reference WHERE id = 1), 10) FROM %s')}), '22P02',
	'a node down: lists of shards cannot be merged without its');
$down->start;
$coordinator->poll_query_until('postgres', $query =~ s/SELECT id/SELECT count(*) = 10
	FROM (SELECT id/r . ') AS x') or die 'the node does not come back';
all_answers_are_right('the node is back');
is(run($checked), $all_rows, 'the node is back: every certificate of every shard is true');

# It crashes while clients ask: they get errors or right answers.
my $asked = start_load($coordinator, 3);
$down->stop('immediate');
$asked->{handle}->finish;
unlike(${ $asked->{err} }, qr/a wrong answer/, 'a node crashes: nobody got a wrong answer');
like(${ $asked->{err} }, qr/aborted/, 'a node crashes: clients got errors');
$down->start;
$coordinator->poll_query_until('postgres', $query =~ s/SELECT id/SELECT count(*) = 10
	FROM (SELECT id/r . ') AS x') or die 'the node does not come back';
all_answers_are_right('after the crash');

$_->stop foreach @nodes;
done_testing();
