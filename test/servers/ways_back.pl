# The ways back, server by server: a front and three servers go to the previous version
# and forward again, in SQL and in their libraries, and SIMD is turned off on all of them,
# while the front asks by engram_fan_out and by postgres_fdw.  No query fails, and each
# answer is, bit for bit, that of one table with all rows.
#
# Called by run.sh of this directory, which has the older library.

use strict;
use warnings;

use File::Copy qw(copy);
use FindBin;
use lib $FindBin::RealBin;
use Engramk;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Servers;
use Test::More;

my ($front, @servers) = start_servers_apart(3);
plan skip_all => 'dblink and postgres_fdw are not installed' if !$front;

my ($old, $new, $old_library) = @ENV{qw(ENGRAMK_OLD_VERSION ENGRAMK_NEW_VERSION ENGRAMK_OLD_LIBRARY)};
my $no_old_library = $ENV{ENGRAMK_NO_OLD_LIBRARY};
my $new_library = $front->basedir . '/newer.so';
copy(library_of($front), $new_library) or die "$new_library: $!\n";
note("libraries are not exchanged: $no_old_library") if $no_old_library;

# The load

my $fan_out = q(engram_fan_out('{s1,s2,s3}', 'SELECT id, embedding <=> $1 FROM items ORDER BY embedding <=> $1, id LIMIT 10', ARRAY[t.v::text], 10));
my $partitions = join(' UNION ALL ', map { "(SELECT id, embedding <=> t.v AS distance FROM items_$_ ORDER BY embedding <=> t.v, id LIMIT 10)" } 1 .. 3);
my %rows = (
	fan_out => "SELECT id, distance FROM $fan_out",
	postgres_fdw => "SELECT id, distance FROM ($partitions OFFSET 0) AS n ORDER BY distance, id LIMIT 10");
my $clients = 2;
my %load;

sub answer { return "(SELECT array_agg((id, float8send(distance))::text) FROM ($_[0]) AS a)"; }

in_front($front, "CREATE TABLE truth AS SELECT number, v, "
	  . answer('SELECT id, embedding <=> t.v AS distance FROM whole ORDER BY 2, 1 LIMIT 10') . ' AS answer FROM query AS t');
in_front($front, 'CREATE TABLE difference (kind text, number integer)');
foreach my $kind (sort keys %rows)
{
	append_to_file($front->basedir . "/$kind.sql", <<"SQL");
\\set n random(1, 40)
SELECT count(*) AS differ FROM truth AS t WHERE number = :n AND answer IS DISTINCT FROM @{[ answer($rows{$kind}) ]} \\gset
\\if :differ
INSERT INTO difference VALUES ('$kind', :n);
\\endif
SQL
}

sub start_load
{
	foreach my $kind (@_)
	{
		local $ENV{PGAPPNAME} = "load $kind";
		my $load = $load{$kind} = {};
		$load->{run} = IPC::Run::start([ 'pgbench', '-n', '-M', 'prepared', '-c', $clients, '-T', '86400',
				'-h', $front->host, '-p', $front->port, '-f', $front->basedir . "/$kind.sql", 'postgres' ],
			'>', \$load->{out}, '2>', \$load->{err});
	}
	let_load_go_on(@_);
	return;
}

# Until every client has begun another query
sub let_load_go_on
{
	my $moment = in_front($front, 'SELECT clock_timestamp()');

	foreach my $kind (@_)
	{
		$front->poll_query_until('postgres', "SELECT count(*) = $clients FROM pg_stat_activity WHERE application_name = 'load $kind' AND query_start > '$moment'")
		  or die "the load of $kind does not go on\n$load{$kind}{err}";
	}
	return;
}

# Every client finishes its query, and none has failed.
sub stop_load
{
	my ($when, @kinds) = @_;

	foreach my $kind (@kinds)
	{
		my $load = delete $load{$kind};
		$load->{run}->signal('ALRM');
		ok($load->{run}->finish && $load->{out} =~ /actually processed: [1-9]/ && $load->{err} !~ /error/, "$when: no $kind failed")
		  or diag($load->{err});
	}
	is(in_front($front, 'SELECT kind, number FROM difference'), '', "$when: and none differed");
	return;
}

# Who connects anew at the front has new sessions on the servers.
sub connect_anew
{
	my ($when) = @_;
	my @kinds = sort keys %load;

	let_load_go_on(@kinds);
	stop_load($when, @kinds);
	start_load(@kinds);
	return;
}

# The ways

sub put_version
{
	my ($node, $version) = @_;

	$node->safe_psql('postgres', "SET lock_timeout = '2s'; ALTER EXTENSION engramk UPDATE TO '$version'");
	return;
}

# By rename: who has mapped the file keeps what was in it.
sub put_library
{
	my ($node, $from) = @_;
	my $library = library_of($node);

	return if $no_old_library;
	copy($from, "$library.new") or die "$library.new: $!\n";
	chmod 0755, "$library.new";
	rename "$library.new", $library or die "$library: $!\n";
	return;
}

# Which libraries the sessions that others have there say they are; those of a load that
# is over may be there for a moment.
sub libraries_are
{
	my ($node, $expected, $name) = @_;

	return if $no_old_library;
	ok($node->poll_query_until('postgres', q(SELECT string_agg(DISTINCT b.version, ' ') FROM engram_stat_backends AS b JOIN pg_stat_activity AS a USING (pid)
		WHERE a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'), $expected), $name);
	return;
}

my @both = sort keys %rows;
start_load(@both);

# Back, one server after the other: the version and then the library, or the other way round
sub older_version
{
	my ($number) = @_;

	put_version($servers[ $number - 1 ], $old);
	let_load_go_on(@both);
	return;
}

sub older_library
{
	my ($number) = @_;
	my $server = $servers[ $number - 1 ];

	put_library($server, $old_library);
	let_load_go_on(@both);
	libraries_are($server, $new, "server $number: the sessions that are there keep their library");
	connect_anew("server $number on its way back");
	libraries_are($server, $old, "server $number: those that come have the older one");
	return;
}

foreach my $number (1 .. 3)
{
	$_->($number) foreach $number == 2 ? (\&older_library, \&older_version) : (\&older_version, \&older_library);
}

# The front last: a fan-out needs what only the newer version has
put_library($front, $old_library);
let_load_go_on(@both);
like(front_error($front, 'SELECT t.number, f.id FROM truth AS t, ' . $fan_out . ' AS f'), qr/42883: could not find function "ek_sql_fan_out" in file/,
	'under the older library a fan-out is not found') if !$no_old_library;
stop_load('before the front', @both);
put_version($front, $old);
like(front_error($front, "SELECT t.number, f.id FROM truth AS t, $fan_out AS f"), qr/42883: function engram_fan_out\(.*\) does not exist/,
	'under the older version there is none');
start_load('postgres_fdw');
connect_anew('all servers at the older version');

# Forward: the front first or last, for the queries of the servers are those of both versions
put_library($front, $new_library);
connect_anew('the front with the newer library');
put_version($front, $new);
let_load_go_on('postgres_fdw');
start_load('fan_out');
foreach my $number (1 .. 3)
{
	my $server = $servers[ $number - 1 ];

	put_library($server, $new_library);
	let_load_go_on(@both);
	connect_anew("server $number with the newer library");
	libraries_are($server, $new, "server $number: those that come have it");
	put_version($server, $new);
	let_load_go_on(@both);
}
stop_load('forward again', @both);
is(join(' ', map { $_->safe_psql('postgres', "SELECT extversion FROM pg_extension WHERE extname = 'engramk'") } $front, @servers),
	join(' ', ($new) x 4), 'all are at the newer version');
is(join(' ', map { $_->safe_psql('postgres', "SELECT engram_index_check('items_embedding')") } @servers), '1000 1000 1000', 'every index is whole');

# A session behind a pool that cannot connect anew: its sessions on the servers may be
# ended while it is idle
my $session = $front->background_psql('postgres', on_error_stop => 0);
my %asks = map { ($_ => "SELECT bool_and(answer = " . answer($rows{$_}) . ") FROM truth AS t") } @both;
my $idle = "a.state = 'idle' AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()";

sub both_answer
{
	my ($name) = @_;

	is(join(' ', map { scalar $session->query($asks{$_}) } @both), 't t', $name);
	return;
}

# The sessions of a load that is over may be there for a moment.
sub wait_for_others_to_end
{
	$_->poll_query_until('postgres', "SELECT count(*) = 2 FROM pg_stat_activity AS a WHERE $idle")
	  or die 'there are others than the session\'s two' foreach @servers;
	return;
}

both_answer('a session has connections');
wait_for_others_to_end();
foreach my $server (@servers)
{
	is($server->safe_psql('postgres', "SELECT count(pg_terminate_backend(a.pid, 60000)) FROM pg_stat_activity AS a WHERE $idle"), '2', 'its idle sessions on a server are ended');
}
both_answer('and it goes on');

# SIMD off on all servers at once

my $best = $front->safe_psql('postgres', 'SELECT level FROM engram_simd_info() WHERE active');
my $off = 'ALTER SYSTEM SET engramk.simd = off';

if ($best eq 'scalar')
{
	note('the best level of this machine is scalar: there is nothing to turn off');
	$session->quit;
	done_testing();
	exit;
}

sub levels
{
	wait_for_others_to_end();
	return join(' ', map { $_->safe_psql('postgres', "SELECT string_agg(b.level, ' ') FROM engram_stat_backends AS b JOIN pg_stat_activity AS a USING (pid) WHERE $idle") } @servers);
}

# One psql call: (exit code, what it said)
sub psql_c
{
	my ($node, @commands) = @_;
	my ($out, $err);
	my $run = IPC::Run::run([ 'psql', '-X', '-q', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), map { ('-c', $_) } @commands ], '>', \$out, '2>', \$err);

	return ($run, $err);
}

sub is_stored
{
	my ($node) = @_;

	return slurp_file($node->data_dir . '/postgresql.auto.conf') =~ /engramk/;
}
is(levels(), join(' ', ($best) x 6), 'two kept connections to each server, at the best level');

# What does not work
my ($code, $err) = psql_c($servers[0], "LOAD 'engramk'; $off; SELECT pg_reload_conf()");
like($err, qr/25001: ALTER SYSTEM cannot run inside a transaction block/, 'several statements in one string are one transaction');
my $string = $servers[0]->connstr('postgres');
like(front_error($front, "SELECT dblink_exec(\$\$$string\$\$, \$\$LOAD 'engramk'; $off\$\$)"), qr/25001: ALTER SYSTEM cannot run inside a transaction block/, 'by dblink_exec, too');
SKIP:
{
	skip 'from release 17 on ALTER SYSTEM knows names that it does not know', 1 if $front->pg_version >= 17;
	local $ENV{PGOPTIONS} = '-c session_preload_libraries=';
	($code, $err) = psql_c($servers[0], $off);
	like($err, qr/42704: unrecognized configuration parameter "engramk.simd"/, 'and not without the library');
}
ok(!is_stored($servers[0]), 'nothing of that is stored');

# What does
start_load(@both);
foreach my $node ($front, @servers)
{
	($code, $err) = psql_c($node, $off, 'SELECT pg_reload_conf()');
	ok($code, 'one psql call a server') or diag($err);
}
# until only the two of the session that has asked nothing since are where they were
foreach my $server (@servers)
{
	$server->poll_query_until('postgres', "SELECT count(*) = 2 FROM engram_stat_backends AS b JOIN pg_stat_activity AS a USING (pid)
		WHERE b.level <> 'scalar' AND a.backend_type = 'client backend'") or die 'a session goes on with SIMD';
}
stop_load('SIMD off', @both);
both_answer('the session with kept connections answers');
is(levels(), join(' ', ('scalar') x 6), 'and they are at scalar, behind dblink and postgres_fdw');

# Forward again, from the front, where the user mapping's role may do it
in_front($front, "SELECT dblink_exec(srvname::text, 'ALTER SYSTEM RESET engramk.simd') FROM pg_foreign_server;
	SELECT ok FROM pg_foreign_server, dblink(srvname::text, 'SELECT pg_reload_conf()') AS r (ok boolean)");
ok(!(grep { is_stored($_) } @servers), 'dblink_exec of one statement is no transaction block');
$front->safe_psql('postgres', "ALTER SYSTEM RESET engramk.simd; SELECT pg_reload_conf()");
foreach my $server (@servers)
{
	$server->poll_query_until('postgres', "SELECT current_setting('engramk.simd') <> 'off'") or die 'SIMD stays off';
}
both_answer('the session goes on');
is(levels(), join(' ', ($best) x 6), 'and they are at the best level again');
$session->quit;

done_testing();
