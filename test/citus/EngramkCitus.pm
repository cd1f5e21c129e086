# A coordinator and three workers with Citus and engramk on one machine, for the
# tests of this directory.
#
# Each node has an installation of its own, a copy of links of the one that
# test/t/run.sh made, so that one can have another library than its neighbours.
# They reach each other by TCP at 127.0.0.1, as the nodes of a real cluster do.
#
# What answers is compared with is the table "plain" of the coordinator, which has
# the rows of all others, no index, and is known to no other node.
package EngramkCitus;

use strict;
use warnings;

use Exporter 'import';
use File::Basename;
use File::Copy qw(copy);
use File::Path qw(make_path);
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(start_citus start_node on_all_nodes put_library start_load stop_load error_of sqlstate_of);

# What a plan costs is not what these tests are about: shards are small here, and
# are to be answered by their indexes all the same.
my @settings = (
	"listen_addresses = '127.0.0.1'",
	"shared_preload_libraries = 'citus'",
	"session_preload_libraries = 'engramk'",
	"citus.node_conninfo = 'sslmode=prefer'",
	'citus.enable_statistics_collection = off',
	'wal_level = logical',
	'max_wal_senders = 20',
	'max_replication_slots = 20',
	'shared_buffers = 64MB',
	'max_connections = 80',
	'max_prepared_transactions = 80',
	'autovacuum = off',
	'enable_seqscan = off',
	'enable_bitmapscan = off',
	'enable_sort = off',
	# which the costs of what is off would set off
	'jit = off');

# Returns the coordinator and the workers, all with engramk, and with the tables of
# tables.sql.  Of another version if it and its library are given.
sub start_citus
{
	my ($version, $library) = @_;
	my @nodes = map { start_node($_, $library) } qw(coordinator first second third);
	my $coordinator = $nodes[0];

	$coordinator->safe_psql('postgres', "SELECT citus_set_coordinator_host('127.0.0.1', @{[ $coordinator->port ]})");
	$coordinator->safe_psql('postgres', "SELECT citus_add_node('127.0.0.1', @{[ $_->port ]})") foreach @nodes[ 1 .. 3 ];
	$coordinator->safe_psql('postgres', 'CREATE EXTENSION engramk' . ($version ? " VERSION '$version'" : ''));
	$coordinator->safe_psql('postgres', slurp_file(dirname(__FILE__) . '/tables.sql'));
	return @nodes;
}

sub start_node
{
	my ($name, $library) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, install_path => installation_of($name));

	$node->init(extra => [ '--locale=C', '--encoding=UTF8', '--auth=trust' ]);
	$node->append_conf('postgresql.conf', $_) foreach @settings;
	# since the minor versions of 2026 only these may decode; before, there is no such parameter
	$node->append_conf('postgresql.conf', "output_plugin_libraries = 'pgoutput, citus'") if knows_output_plugins();
	put_library($node, $library) if $library;
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION citus');
	return $node;
}

my $knows;

sub knows_output_plugins
{
	$knows //= grep { /^output_plugin_libraries\b/ } qx(postgres --describe-config);
	return $knows;
}

# PostgreSQL finds its files from where its programs are.
sub installation_of
{
	my ($name) = @_;
	my $copy = "$ENV{TESTDATADIR}/installation_$name";
	my ($bin, $lib, $share) = map { chomp(my $directory = qx(pg_config --$_)); $directory }
	  qw(bindir pkglibdir sharedir);

	make_path("$copy$_") foreach $bin, $lib, $share;
	system('cp', '-rs', "$_/.", "$copy$_") == 0 or die "cannot copy $_\n" foreach $lib, $share;
	system("cp -L $bin/* $copy$bin") == 0 or die "cannot copy $bin\n";
	return dirname("$copy$bin");
}

# By rename, since whoever has mapped the file keeps what was in it.
sub put_library
{
	my ($node, $from) = @_;
	chomp(my $directory = qx("@{[ $node->install_path ]}/bin/pg_config" --pkglibdir));
	my $library = "$directory/engramk.so";

	copy($from, "$library.new") or die "$library.new: $!\n";
	chmod 0755, "$library.new";
	rename "$library.new", $library or die "$library: $!\n";
	return;
}

# What a statement returns on each node, in the order of the nodes; dies where it fails.
sub on_all_nodes
{
	my ($coordinator, $statement) = @_;

	return split /\n/, $coordinator->safe_psql('postgres',
		"SELECT CASE WHEN success THEN result ELSE 'failed: ' || result END
		 FROM run_command_on_all_nodes(\$engramk\$$statement\$engramk\$) ORDER BY nodeid");
}

# What a statement fails with, in one line, or ''.
sub error_of
{
	my ($node, $statement) = @_;
	my ($out, $err);

	$node->psql('postgres', $statement, stdout => \$out, stderr => \$err, on_error_stop => 1);
	my ($error) = $err =~ /ERROR:  (.*)/;
	return $error // '';
}

sub sqlstate_of
{
	my ($node, $statement) = @_;
	my ($out, $err);

	$node->psql('postgres', $statement, stdout => \$out, stderr => \$err,
		extra_params => [ '--set', 'VERBOSITY=sqlstate' ]);
	my ($sqlstate) = $err =~ /(?:ERROR|FATAL):  (\w{5})/;
	return $sqlstate // '';
}

# Clients that ask for neighbours of every table until they are stopped; each answer is
# compared by the function check_answer of tables.sql, which raises an error if it
# is wrong.  What is more are options of pgbench.
sub start_load
{
	my ($coordinator, $clients, @options) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir();
	my ($out, $err) = ('', '');

	append_to_file("$directory/load.sql", "\\set n random(1, 40)\nSELECT check_answer(:n);\n");
	my $handle = IPC::Run::start(
		[ 'pgbench', '-n', @options, '-c', $clients, '-T', 86400, '-f', "$directory/load.sql",
			$coordinator->connstr('postgres') ],
		'>', \$out, '2>', \$err);
	return { handle => $handle, out => \$out, err => \$err };
}

# Ends it as the end of its time would: every client finishes its query.  No query has
# failed, but with an error that is allowed, and no answer was wrong.
sub stop_load
{
	my ($load, $name, $allowed) = @_;
	my ($handle, $out, $err) = @{$load}{qw(handle out err)};

	$handle->pump_nb;
	$handle->signal('ALRM') if $handle->pumpable;
	$handle->finish;
	my @errors = map { s/.*ERROR:  //r } grep { !/Run was aborted/ } $$err =~ /^(pgbench: error: .*)$/mg;
	my @others = grep { !$allowed || $_ !~ $allowed } @errors;
	is("@others", '', "$name: no query failed, and no answer was wrong");
	return if @errors;
	like($$out, qr/actually processed: [1-9]/, "$name: there were queries");
	note("$name: $1 queries") if $$out =~ /actually processed: (\d+)/;
	return;
}

1;
