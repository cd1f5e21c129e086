# engramk.simd = off is an emergency switch.  This protects it from users who
# set the parameter before the library is loaded, when PostgreSQL takes any
# value from anybody for a name it does not know yet.

use strict;
use warnings;

use Engramk;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('backdoor', 'engramk.simd = off');
my $lacking = level_lacking_here($node);

# The first call loads the library, and whether anything is fast shows in
# engram_simd_info() as well as in the parameter.
my $load = "SELECT engram_norm('{3,4}');";
my $show = q(SELECT current_setting('engramk.simd') || ' ' ||
	(SELECT string_agg(level, ',') FROM engram_simd_info() WHERE active););

# Returns when new sessions see it; the server is only sent a signal to reload.
# Of several lines of one parameter PostgreSQL takes the last.
sub file_says
{
	my ($value) = @_;

	local $ENV{PGOPTIONS} = '';
	$node->append_conf('postgresql.conf', "engramk.simd = $value");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('engramk.simd') = '$value'")
	  or die "no reload with $value";
	return;
}

# A new session ends like this: its answer, its setting, its level, its errors.
sub session_is
{
	my ($user, $options, $before, $expected, $sqlstate, $name) = @_;
	my ($code, $out, $err) = query_as($node, $user, $options, "$before $load $show");

	is($out, "5\n$expected", $name);
	if (defined $sqlstate)
	{
		sqlstate_is($err, $sqlstate, "$name: said so");
	}
	else
	{
		is($err, '', "$name: nothing to say");
	}
	return;
}

my ($best) = $node->safe_psql('postgres',
	'SELECT level FROM engram_simd_info() WHERE supported LIMIT 1');

# The file says off.
session_is('plain', '', '', 'off scalar', undef, 'a user under off');
session_is('plain', '-c engramk.simd=on', '', 'off scalar', '42501',
	'connection option on');
session_is('plain', '-c engramk.simd=nonsense', '', 'off scalar', '42501',
	'connection option with an unknown value');
session_is('plain', "-c engramk.simd=$lacking", '', 'off scalar', '42501',
	'connection option with a level the CPU lacks');
session_is('plain', '', 'SET engramk.simd = on;', 'off scalar', '42501',
	'SET before load');
session_is('plain', '', 'BEGIN; SET LOCAL engramk.simd = on;', 'off scalar', '42501',
	'SET LOCAL before load');
session_is('plain', '', "SELECT FROM set_config('engramk.simd', 'on', false);",
	'off scalar', '42501', 'set_config before load');
session_is('plain', '-c engramk.simd=on', 'SET engramk.simd = on;', 'off scalar',
	'42501', 'connection option and SET');

# What a refused session tries next does not help it either.
{
	my ($code, $out, $err) = query_as($node, 'plain', '-c engramk.simd=on',
		"$load RESET ALL; DISCARD ALL; $show");
	is($out, "5\noff scalar", 'RESET ALL and DISCARD ALL after a refusal');

	($code, $out, $err) = query_as($node, 'plain', '-c engramk.simd=on',
		"$load SET engramk.simd = on; RESET engramk.simd; SET engramk.simd TO DEFAULT; $show");
	is($out, "5\noff scalar", 'SET and RESET after a refusal');
	is(() = $err =~ /ERROR:  42501:/g, 3, 'SET and RESET after a refusal: each an error');

	($code, $out, $err) = query_as($node, 'plain', '',
		"BEGIN; SET engramk.simd = on; $load ROLLBACK; $show");
	is($out, "5\noff scalar", 'SET before load, rolled back after');

	($code, $out, $err) = query_as($node, 'plain', '',
		"BEGIN; SAVEPOINT s; SET engramk.simd = on; $load ROLLBACK TO s; COMMIT; $show");
	is($out, "5\noff scalar", 'SET before load, rolled back to a savepoint after');
}

# Settings that are stored.
{
	my ($code, $out, $err) = query_as($node, 'plain', '',
		'ALTER ROLE plain SET engramk.simd = on;');
	sqlstate_is($err, '42501', 'ALTER ROLE of oneself before load');
	($code, $out, $err) = query_as($node, 'plain', '',
		"$load ALTER ROLE plain SET engramk.simd = on;");
	sqlstate_is($err, '42501', 'ALTER ROLE of oneself after load');
	($code, $out, $err) = query_as($node, 'plain', '',
		"CREATE FUNCTION pg_temp.f() RETURNS double precision LANGUAGE sql SET engramk.simd = on
		 AS 'SELECT engram_norm(''{3,4}'')';");
	sqlstate_is($err, '42501', 'a SET clause of a function before load');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_db_role_setting'), '0',
		'nothing was stored');
}

# A superuser may, and so may a user who was granted it, and nobody else.
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
session_is($superuser, '', 'SET engramk.simd = on;', "on $best", undef,
	'a superuser sets it before load');
session_is($superuser, '-c engramk.simd=on', '', "on $best", undef,
	"a superuser's connection option");
session_is($superuser, '-c engramk.simd=nonsense', '', 'off scalar', '22023',
	"a superuser's connection option with an unknown value");
session_is($superuser, "-c engramk.simd=$lacking", '', 'off scalar', '0A000',
	"a superuser's connection option with a level the CPU lacks");

SKIP:
{
	skip 'GRANT SET ON PARAMETER is from 15', 6 if $node->{_pg_version} < 15;
	$node->safe_psql('postgres',
		'CREATE ROLE granted LOGIN; GRANT SET ON PARAMETER engramk.simd TO granted');
	session_is('granted', '-c engramk.simd=on', '', "on $best", undef,
		"a granted user's connection option");
	session_is('granted', "-c engramk.simd=$lacking", '', 'off scalar', '0A000',
		"a granted user's connection option with a level the CPU lacks");
	session_is('plain', '-c engramk.simd=on', '', 'off scalar', '42501',
		"another user's connection option");
}

# Whatever the file says, what was refused ends at off and not at on.
file_says('on');
session_is('plain', '', '', "on $best", undef, 'a user under on');
session_is('plain', '-c engramk.simd=off', '', 'off scalar', '42501',
	'connection option off under on');

file_says('nonsense');
session_is('plain', '', '', 'off scalar', '22023', 'an unknown value in the file');
session_is('plain', '-c engramk.simd=on', '', 'off scalar', '42501',
	'connection option on, and an unknown value in the file');

file_says($lacking);
session_is('plain', '', '', 'off scalar', '0A000', 'a level the CPU lacks in the file');
session_is('plain', '', 'SET engramk.simd = on;', 'off scalar', '42501',
	'SET before load, and a level the CPU lacks in the file');
session_is($superuser, '', 'SET engramk.simd = on;', "on $best", '0A000',
	'a superuser sets it, and a level the CPU lacks in the file');

# Stored settings that this CPU cannot follow.
file_says('on');
foreach my $target ('DATABASE postgres', 'ROLE plain', 'ROLE plain IN DATABASE postgres')
{
	my ($code, $out, $err) =
	  query_as($node, $superuser, '', "$load ALTER $target SET engramk.simd = $lacking;");
	like($err, qr/NOTICE:  0A000:/, "ALTER $target: a notice");
	is($code, 0, "ALTER $target: accepted");
	session_is('plain', '', '', 'off scalar', '0A000',
		"a level the CPU lacks by ALTER $target");
	$node->safe_psql('postgres', "ALTER $target RESET ALL");
}
session_is('plain', '', '', "on $best", undef, 'a user under on again');

# A session that ended at off follows the file from the next reload on.
{
	local $ENV{PGOPTIONS} = '-c engramk.simd=on';
	file_says('off');
	my $session = $node->background_psql('postgres', extra_params => [ '--username', 'plain' ]);
	$session->query($load);
	is($session->query($show), 'off scalar', 'refused, before the reload');

	file_says('on');
	wait_until_setting($session, 'on', 'the file says on');
	is($session->query($show), "on $best", 'refused, after a reload with on');
	file_says('off');
	wait_until_setting($session, 'off', 'the file says off');
	is($session->query($show), 'off scalar', 'refused, after a reload with off');
	$session->quit;
}

# Preloaded, the name is known from the start and nobody is asked twice.
file_says('off');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'engramk'");
$node->restart;
session_is('plain', '', '', 'off scalar', undef, 'preloaded: a user under off');
{
	my ($code, $out, $err) = query_as($node, 'plain', '-c engramk.simd=on', $show);
	isnt($code, 0, 'preloaded: no connection with a connection option on');
	like($err, qr/permission denied to set parameter "engramk.simd"/,
		'preloaded: connection option on');
}
session_is('plain', '', 'SET engramk.simd = on;', 'off scalar', '42501',
	'preloaded: SET before first use');

$node->append_conf('postgresql.conf', 'engramk.simd = nonsense');
$node->restart;
session_is('plain', '', '', 'off scalar', undef, 'preloaded: an unknown value in the file');
file_says('on');
session_is('plain', '', '', "on $best", undef, 'preloaded: the file put right');

# A stored setting that this CPU cannot follow is refused at connection, and
# the file's value stays.
file_says('off');
foreach my $target ('DATABASE postgres', 'ROLE plain')
{
	$node->safe_psql('postgres', "ALTER $target SET engramk.simd = $lacking");
	my ($code, $out, $err) = query_as($node, 'plain', '', "$load $show");
	is($out, "5\noff scalar", "preloaded: a level the CPU lacks by ALTER $target");
	like($err, qr/^WARNING:  invalid value for parameter "engramk.simd": "$lacking"/,
		"preloaded: a level the CPU lacks by ALTER $target: said so");
	$node->safe_psql('postgres', "ALTER $target RESET ALL");
}

$node->stop;
done_testing();
