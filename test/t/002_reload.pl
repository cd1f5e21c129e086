# The emergency switch for a whole cluster: ALTER SYSTEM SET engramk.simd = off
# and a reload.  It takes effect at the next statement of every session, no
# statement fails meanwhile, and no answer changes.

use strict;
use warnings;

use Engramk;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('reload', 'max_connections = 30');
my $best = $node->safe_psql('postgres',
	'SELECT level FROM engram_simd_info() WHERE supported LIMIT 1');
my $level = 'SELECT level FROM engram_simd_info() WHERE active';

$node->safe_psql('postgres', q{
	CREATE TABLE item AS
		SELECT i AS id, (SELECT array_agg(sin(i * 37 + j)::real ORDER BY j) FROM generate_series(1, 100) j) AS embedding
		FROM generate_series(1, 200) i;
	CREATE FUNCTION answer() RETURNS text LANGUAGE sql AS $$
		SELECT md5(string_agg(id || float8send(embedding <=> (SELECT embedding FROM item WHERE id = 7))::text, ' '
			ORDER BY embedding <=> (SELECT embedding FROM item WHERE id = 7), id)) FROM item $$;
	GRANT SELECT ON item TO plain;
});
my $answer = $node->safe_psql('postgres', 'SELECT answer()');

# A session that never used engramk

my $administrator = $node->background_psql('postgres',
	on_error_stop => 0, extra_params => [ '--set', 'VERBOSITY=verbose' ]);

sub error_of
{
	my ($sql) = @_;

	$administrator->{stderr} = '';
	$administrator->query($sql);
	my ($sqlstate) = $administrator->{stderr} =~ /ERROR:  (\w{5}):/;
	$administrator->{stderr} = '';
	return $sqlstate // '00000';
}

SKIP:
{
	skip '17 knows how to set what it does not know', 1 if $node->{_pg_version} >= 17;
	is(error_of('ALTER SYSTEM SET engramk.simd = off'), '42704',
		'ALTER SYSTEM without the library');
}
is(error_of("LOAD 'engramk'"), '00000', 'LOAD');
is(error_of('ALTER SYSTEM SET engramk.simd = off'), '00000', 'ALTER SYSTEM after LOAD');
is(error_of('ALTER SYSTEM RESET engramk.simd'), '00000', 'ALTER SYSTEM RESET after LOAD');
is(error_of('ALTER SYSTEM SET engramk.simd = nonsense'), '22023', 'ALTER SYSTEM with an unknown value');
like(error_of('ALTER SYSTEM SET engramk.foo = on'), qr/^(?:42704|42602)$/, 'ALTER SYSTEM with an unknown name');

sub switch
{
	my ($value) = @_;

	is(error_of("ALTER SYSTEM SET engramk.simd = $value"), '00000', "ALTER SYSTEM SET engramk.simd = $value");
	is(error_of('SELECT pg_reload_conf()'), '00000', 'reload');
	return;
}

# Idle sessions, with every state that a session can be in

my %session;
foreach my $name ('idle', 'cursor', 'prepared', 'own choice')
{
	$session{$name} = $node->background_psql('postgres',
		extra_params => [ '--username', $name eq 'own choice' ? $ENV{PGUSER} // getpwuid($<) : 'plain' ]);
	is($session{$name}->query('SELECT answer()'), $answer, "$name: the answer");
}
$session{'cursor'}->query(
	q{BEGIN; DECLARE c CURSOR FOR SELECT id || ' ' || float8send(embedding <-> (SELECT embedding FROM item WHERE id = 7))::text FROM item ORDER BY id});
$session{'prepared'}->query(
	'SET plan_cache_mode = force_generic_plan; PREPARE p AS SELECT answer()');
$session{'own choice'}->query('SET engramk.simd = on');
my @rows = split /\n/, $node->safe_psql('postgres',
	q{SELECT id || ' ' || float8send(embedding <-> (SELECT embedding FROM item WHERE id = 7))::text FROM item ORDER BY id});

foreach my $value ('off', 'on', 'off')
{
	my $expected = $value eq 'on' ? $best : 'scalar';

	switch($value);
	foreach my $name ('idle', 'cursor', 'prepared')
	{
		wait_until_setting($session{$name}, $value, $name);
		is($session{$name}->query($level), $expected, "$name: at $expected");
	}
	is($session{'idle'}->query('SELECT answer()'), $answer, "idle: the same answer under $value");
	is($session{'prepared'}->query('EXECUTE p'), $answer, "prepared: the same answer under $value");
	is($session{'cursor'}->query('FETCH 50 FROM c'), join("\n", splice(@rows, 0, 50)),
		"cursor: goes on with the same rows under $value");
}
is($session{'own choice'}->query($level), $best, "a superuser's own SET outranks the file");
is($session{'own choice'}->query("RESET engramk.simd; $level"), 'scalar', 'and RESET goes back to it');
$_->quit foreach values %session;

# Settings by role and database outrank the file, and can be found.

is(error_of('ALTER ROLE plain SET engramk.simd = on'), '00000', 'ALTER ROLE');
is((query_as($node, 'plain', '', $level))[1], $best, 'a role with a setting of its own stays on');
is($node->safe_psql('postgres',
		q{SELECT setrole::regrole FROM pg_db_role_setting WHERE setconfig::text LIKE '%engramk.simd=%'}),
	'plain', 'it is found in pg_db_role_setting');
is(error_of('ALTER ROLE plain RESET engramk.simd'), '00000', 'ALTER ROLE RESET');
is((query_as($node, 'plain', '', $level))[1], 'scalar', 'the role follows the file again');

# A mistake in the file changes nothing in sessions that know better, and shows.

$node->append_conf('postgresql.auto.conf', 'engramk.simd = nonsense');
is(error_of('SELECT pg_reload_conf()'), '00000', 'reload with a mistake');
$node->poll_query_until('postgres', q{SELECT current_setting('engramk.simd') = 'nonsense'})
  or die 'no reload';
is($administrator->query($level), 'scalar', 'an open session stays as it was');
isnt($administrator->query(q{SELECT error FROM pg_file_settings WHERE name = 'engramk.simd' ORDER BY seqno DESC LIMIT 1}),
	'', 'pg_file_settings tells of the mistake');
is((query_as($node, 'plain', '', "SELECT FROM engram_norm('{1}'); $level"))[1], 'scalar', 'a new session is at off');

# Busy sessions: every answer is checked by the client that got it.

my $script = "$PostgreSQL::Test::Utils::tmp_check/reload.sql";
append_to_file($script, "SELECT 1 / (answer() = '$answer')::integer;\n");
foreach my $mode ('simple', 'prepared')
{
	my ($out, $err) = ('', '');
	my $pgbench = IPC::Run::start(
		[
			'pgbench', '--no-vacuum', '--username', 'plain', '--host', $node->host, '--port', $node->port,
			'--client', 10, '--transactions', 100, '--protocol', $mode, '--file', $script, 'postgres'
		],
		'>', \$out, '2>', \$err);
	my $switches = 0;

	do
	{
		my $value = $switches++ % 2 ? 'on' : 'off';

		$administrator->query_safe("ALTER SYSTEM SET engramk.simd = $value");
		$administrator->query_safe('SELECT pg_reload_conf()');
		$pgbench->pump_nb;
	} while ($pgbench->pumpable);
	ok($pgbench->finish, "$mode: no statement failed and no answer changed while it was switched");
	like($out, qr{number of transactions actually processed: 1000/1000}, "$mode: all of them");
	cmp_ok($switches, '>', 2, "$mode: it was switched to and fro");
	is($err =~ /ERROR|WARNING/ ? $err : '', '', "$mode: no complaint");
}

# The end: everybody is at the value that was set last.
switch('off');
$node->poll_query_until('postgres', q{SELECT current_setting('engramk.simd') = 'off'})
  or die 'no reload';
is((query_as($node, 'plain', '', "SELECT FROM engram_norm('{1}'); $level"))[1], 'scalar', 'off at last');

$administrator->quit;
$node->stop;
done_testing();
