# A cluster goes to the new version and back, node by node: the library, then the
# version in SQL; and back, the version in SQL, then the library.  Between the steps
# nodes have different ones.  Clients ask for neighbours all the while, some of them
# with a new connection each time: no query fails, and no answer is wrong.
#
# ENGRAMK_OLD_LIBRARY is the library of ENGRAMK_OLD_VERSION.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkCitus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($old, $old_library) = @ENV{qw(ENGRAMK_OLD_VERSION ENGRAMK_OLD_LIBRARY)};
my $new_library = $ENV{LIBRARY};
my @nodes = start_citus($old, $old_library);
my ($coordinator, @workers) = @nodes;
my $new = $coordinator->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions
	WHERE name = 'engramk'});
my $in_sql = q{SELECT extversion FROM pg_extension WHERE extname = 'engramk'};
my $library = 'SELECT version FROM engram_stat_backends WHERE pid = pg_backend_pid()';

sub run { return $coordinator->safe_psql('postgres', $_[0]); }

# The clients whose connections stay have the library that they began with.
sub while_clients_ask
{
	my ($name, $steps) = @_;
	my @loads = (start_load($coordinator, 2), start_load($coordinator, 1, '-C'));

	$steps->();
	stop_load($_, $name) foreach @loads;
	return;
}

sub all_answers_are_right
{
	my ($name) = @_;

	is(run("SELECT differing('$_', 10, 10)"), '0', "$name: $_") foreach qw(by_id by_tenant reference local);
	is(run(q{SELECT string_agg(result, ',') FROM run_command_on_shards('by_id', $$SELECT engram_index_check(indexrelid)
		FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_am AS a ON a.oid = c.relam
		WHERE indrelid = '%s'::regclass AND a.amname = 'engramk'$$) WHERE NOT success}), '',
			"$name: checks of all shards");
	is(run(q{SELECT engram_nearest(id, embedding, sample_vector(77), 3) FROM by_id}),
		run(q{SELECT engram_nearest(id, embedding, sample_vector(77), 3) FROM plain}), "$name: an aggregate");
	return;
}

# On one node alone; Citus would pass the statement on to the others.
sub alter_extension
{
	my ($node, $version) = @_;

	$node->safe_psql('postgres', "SET citus.enable_ddl_propagation = off;
		ALTER EXTENSION engramk UPDATE TO '$version'");
	is($node->safe_psql('postgres', $in_sql), $version, $node->name . ": $version in SQL");
	return;
}

sub change_library
{
	my ($node, $file, $version) = @_;

	put_library($node, $file);
	is($node->safe_psql('postgres', "SELECT FROM engram_norm('{1}'); $library"), $version,
		$node->name . ": the library of $version");
	return;
}

all_answers_are_right($old);

foreach my $round (1, 2)
{
	while_clients_ask("the library of $new, round $round", sub {
		foreach my $node (@workers, $coordinator)
		{
			change_library($node, $new_library, $new);
			all_answers_are_right('the library of ' . $node->name);
		}
	});
	while_clients_ask("$new in SQL, round $round", sub {
		foreach my $node (@workers, $coordinator)
		{
			alter_extension($node, $new);
			all_answers_are_right("$new on " . $node->name);
		}
	});
	while_clients_ask("$old in SQL, round $round", sub {
		foreach my $node ($coordinator, @workers)
		{
			alter_extension($node, $old);
			all_answers_are_right("$old on " . $node->name);
		}
	});
	while_clients_ask("the library of $old, round $round", sub {
		foreach my $node ($coordinator, @workers)
		{
			change_library($node, $old_library, $old);
			all_answers_are_right("the library of $old on " . $node->name);
		}
	});
}

# All nodes with one statement, where all have the files

put_library($_, $new_library) foreach @nodes;
while_clients_ask('all nodes at once', sub {
	run("ALTER EXTENSION engramk UPDATE TO '$new'");
	is(join(' ', on_all_nodes($coordinator, $in_sql)), join(' ', ($new) x 4), 'ALTER EXTENSION reaches all nodes');
	all_answers_are_right('all nodes forward');
	run("ALTER EXTENSION engramk UPDATE TO '$old'");
	is(join(' ', on_all_nodes($coordinator, $in_sql)), join(' ', ($old) x 4), 'and so does the way back');
	all_answers_are_right('all nodes back');
});

# A worker without the files of the new version refuses it for all.
my $control = $workers[2]->install_path;
chomp(my $share = qx("$control/bin/pg_config" --sharedir));
rename "$share/extension/engramk--$old--$new.sql", "$share/extension/away" or die "$!";
like(error_of($coordinator, "ALTER EXTENSION engramk UPDATE TO '$new'"),
	qr/no update path from version "\Q$old\E" to version "\Q$new\E"/,
	'a worker lacks the files: an error');
is(join(' ', on_all_nodes($coordinator, $in_sql)), join(' ', ($old) x 4), 'and all nodes are as they were');
rename "$share/extension/away", "$share/extension/engramk--$old--$new.sql" or die "$!";

# An index of a later format than a version knows, on every node
like(error_of($coordinator, q{ALTER EXTENSION engramk UPDATE TO '1.6'}),
	qr/there are engramk indexes that the older version cannot read: public\.by_tenant_embedding/,
	'what the older version cannot read is in the way');
is(join(' ', on_all_nodes($coordinator, $in_sql)), join(' ', ($old) x 4), 'and all nodes are as they were');

# A node that is added has the version of the others, or is not added.
my $fourth = start_node('fourth');
chomp(my $its_share = qx("@{[ $fourth->install_path ]}/bin/pg_config" --sharedir));
rename "$its_share/extension/engramk.control", "$its_share/extension/away" or die "$!";
my $refusal;
$coordinator->psql('postgres', "SELECT citus_add_node('127.0.0.1', @{[ $fourth->port ]})", stderr => \$refusal);
like($refusal, qr/extension "engramk" is not available.*ERROR:  failure on connection marked as essential/s,
	'a node without the files is an error, and a warning says why');
is(run('SELECT count(*) FROM pg_dist_node'), '4', 'it is not added');
rename "$its_share/extension/away", "$its_share/extension/engramk.control" or die "$!";
run("SELECT citus_add_node('127.0.0.1', @{[ $fourth->port ]})");
is($fourth->safe_psql('postgres', $in_sql), $old, 'a node that is added has the version of the others');
run("SELECT replicate_reference_tables('block_writes')");
run("SELECT citus_move_shard_placement(shardid, nodename, nodeport, '127.0.0.1', @{[ $fourth->port ]}, 'block_writes')
	FROM (SELECT * FROM citus_shards WHERE table_name = 'by_id'::regclass ORDER BY shardid LIMIT 1) AS s");
all_answers_are_right('with a shard on it');
push @nodes, $fourth;

# A worker refuses what would come from it.
like(error_of($workers[0], "ALTER EXTENSION engramk UPDATE TO '$new'"), qr/operation is not allowed on this node/,
	'ALTER EXTENSION on a worker: Citus wants it on the coordinator');

$_->stop foreach @nodes;
done_testing();
