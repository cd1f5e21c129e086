# What the tests with several servers share.
#
# A front, and servers that each have a part of its rows: `items`, with an index.  The
# front has all of them in `whole`, without one, which is the truth; its foreign servers
# s1, s2 and s3 are those servers, and `items` is there the table that these are the
# partitions of.
package Servers;

use strict;
use warnings;

use Engramk;
use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(has_extension start_servers start_servers_apart library_of in_front front_error answer_is kill_all cutting_proxy);

# Rows of all servers together, and how many there are of each vector in a row of ids, so
# that ties go across servers
my $rows = 3000;

sub has_extension
{
	my ($node, $name) = @_;

	return $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = '$name'");
}

# Does each server have an installation of its own, and so a library that can be replaced?
our $apart = 0;

# A copy of the installation whose programs come first in PATH: its links stay links.
# PostgreSQL finds all its files from where its programs are.
sub copy_installation
{
	my ($to) = @_;

	foreach my $what (qw(bindir pkglibdir sharedir))
	{
		my $directory = directory_of($what);
		system_or_bail('mkdir', '-p', "$to$directory");
		system_or_bail('cp', '-a', "$directory/.", "$to$directory");
	}
	return $to . directory_of('bindir') =~ s{/bin$}{}r;
}

sub directory_of
{
	my ($what) = @_;

	return `pg_config --$what` =~ s/\n//r;
}

# The file of engramk's library that a server of start_servers_apart loads
sub library_of
{
	my ($node) = @_;
	my $root = $node->install_path;

	$root =~ s{\Q@{[ directory_of('bindir') =~ s{/bin$}{}r ]}\E$}{} or die "$root is no copy";
	return $root . directory_of('pkglibdir') . '/engramk.so';
}

sub start_server
{
	my ($name, @settings) = @_;
	my @own = $apart ? (install_path => copy_installation(PostgreSQL::Test::Utils::tempdir_short())) : ();

	return start_made(PostgreSQL::Test::Cluster->new($name, @own), "session_preload_libraries = 'engramk'", @settings);
}

# As start_servers, with an installation for each.
sub start_servers_apart
{
	local $apart = 1;

	return start_servers(@_);
}

# Returns the front and its servers, or nothing if there is no dblink and postgres_fdw.
sub start_servers
{
	my ($count, @settings) = @_;
	my $front = start_server('front', @settings);

	foreach my $extension (qw(dblink postgres_fdw))
	{
		return if !has_extension($front, $extension);
		$front->safe_psql('postgres', "CREATE EXTENSION $extension");
	}
	$front->safe_psql('postgres', <<"SQL");
CREATE FUNCTION vector_of(n bigint) RETURNS real[] LANGUAGE sql IMMUTABLE AS \$\$
    SELECT CASE WHEN n % 500 = 3 THEN NULL WHEN n % 500 = 4 THEN array_fill(0::real, ARRAY[16])
        ELSE (SELECT array_agg(sin((n / 4) * 12.9898 + j * 78.233)::real ORDER BY j) FROM generate_series(1, 16) AS j) END
\$\$;
CREATE TABLE whole (id bigint PRIMARY KEY, name uuid, tenant integer, embedding real[]);
INSERT INTO whole SELECT i, md5(i::text)::uuid, i % 7, vector_of(i) FROM generate_series(1, $rows) AS i;
CREATE TABLE items (LIKE whole) PARTITION BY LIST ((id % $count));
CREATE TABLE query AS SELECT i AS number, vector_of(i * 37 + $rows) AS v FROM generate_series(1, 40) AS i
    WHERE (i * 37 + $rows) % 500 <> 3;
SQL
	my @servers = map { add_server($front, $_, $count, @settings) } 1 .. $count;
	return ($front, @servers);
}

# A server, as part $number of $count, and all that the front has to know of it
sub add_server
{
	my ($front, $number, $count, @settings) = @_;
	my $server = start_server("server_$number", @settings);

	# by turns, so that each has a part of every tie
	my $part = $front->safe_psql('postgres', "COPY (SELECT * FROM whole WHERE id % $count = $number - 1) TO STDOUT");
	$server->safe_psql('postgres', 'CREATE TABLE items (id bigint PRIMARY KEY, name uuid, tenant integer, embedding real[])');
	$server->safe_psql('postgres', "COPY items FROM STDIN;\n$part\n\\.\n");
	$server->safe_psql('postgres', 'CREATE INDEX items_embedding ON items USING engramk (embedding, tenant)');
	$server->safe_psql('postgres', 'VACUUM ANALYZE items');
	my ($host, $port) = ($server->host, $server->port);
	$front->safe_psql('postgres', <<"SQL");
CREATE SERVER s$number FOREIGN DATA WRAPPER postgres_fdw
    OPTIONS (host '$host', port '$port', dbname 'postgres', connect_timeout '2',
        extensions 'engramk', use_remote_estimate 'true', async_capable 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER s$number;
CREATE FOREIGN TABLE items_$number PARTITION OF items FOR VALUES IN (@{[ $number - 1 ]})
    SERVER s$number OPTIONS (table_name 'items');
SQL
	return $server;
}

sub in_front
{
	my ($front, $sql) = @_;

	return $front->safe_psql('postgres', $sql);
}

# What a statement's error says, with its SQLSTATE and its details; empty if there is none.
sub front_error
{
	my ($front, $sql) = @_;
	my ($code, $out, $err) = query_as($front, 'postgres', '', $sql);

	return $err;
}

# Rows (id, distance) of two statements are the same, in order and bit for bit.
sub answer_is
{
	my ($front, $statement, $truth, $name) = @_;
	my $bits = sub { "SELECT id, float8send(distance) FROM ($_[0]) AS t (id, distance)" };
	my $expected = in_front($front, $bits->($truth));

	isnt($expected, '', "$name: there are rows");
	is(in_front($front, $bits->($statement)), $expected, $name);
	return;
}

# Forwards connections to a server, in a process of its own, and cuts the first of them
# before it has passed on the given message "ready for query", as a network could.
# Returns its process and its port.
sub cutting_proxy
{
	my ($server, $ready) = @_;
	my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', Proto => 'tcp') or die "listen: $!";
	my $pid = fork // die "fork: $!";

	return ($pid, $listener->sockport) if $pid;
	# PostgreSQL::Test of 16 to 18 catches it, and stops the servers of the test
	$SIG{TERM} = 'DEFAULT';
	while (my $client = $listener->accept)
	{
		my $to = IO::Socket::UNIX->new(Peer => $server->host . '/.s.PGSQL.' . $server->port) or die "connect: $!";

		forward($client, $to, $ready);
		$ready = 0;
	}
	POSIX::_exit(0);
}

# Until one side has closed, or so many messages "ready for query" have come.
sub forward
{
	my ($client, $server, $ready) = @_;
	my $select = IO::Select->new($client, $server);
	my $buffer = '';

	while (1)
	{
		foreach my $from ($select->can_read)
		{
			$from->sysread(my $bytes, 65536) or return;
			if ($from == $client)
			{
				$server->syswrite($bytes);
				next;
			}
			$buffer .= $bytes;
			while (length $buffer >= 5 && length $buffer > (my $size = unpack 'N', substr $buffer, 1, 4))
			{
				my $message = substr $buffer, 0, 1 + $size, '';

				return if $message =~ /^Z/ && --$ready == 0;
				$client->syswrite($message);
			}
		}
	}
	return;
}

# Sends a signal to every process of a server.
sub kill_all
{
	my ($server, $signal) = @_;
	my $postmaster = (split /\n/, slurp_file($server->data_dir . '/postmaster.pid'))[0];
	my @children = split ' ', `ps -o pid= --ppid $postmaster`;

	kill $signal, @children, $postmaster;
	return;
}

1;
