# engram_fan_out gives, bit for bit, what one table with all rows gives; and what becomes
# of it when servers are down, slow, killed, altered, or not what they should be.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Engramk;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Servers;
use Test::More;

my ($front, @servers) = start_servers(3);
plan skip_all => 'dblink and postgres_fdw are not installed' if !$front;

my $all = q('{s1,s2,s3}');

# The fan-out of a statement on all servers: its rows (id, distance)
sub fan_out
{
	my ($statement, $parameters, $k, %option) = @_;
	my $function = $option{function} // 'engram_fan_out';

	return "SELECT id, distance FROM $function($all, \$q\$$statement\$q\$, $parameters, $k)";
}

sub query
{
	my ($number) = @_;

	return "(SELECT v FROM query WHERE number = $number)";
}

# The same rows as of one table, of which no index is asked

foreach my $operator ('<=>', '<#>', '<->', '<+>')
{
	foreach my $k (1, 10, 333, 5000)
	{
		my $number = 1 + $k % 39;
		my $truth = 'SELECT id, embedding ' . $operator . ' ' . query($number) . ' AS distance FROM whole WHERE embedding IS NOT NULL ORDER BY 2, 1 LIMIT ' . $k;

		answer_is($front, fan_out("SELECT id, embedding $operator \$1 FROM items ORDER BY embedding $operator \$1, id LIMIT \$2",
			'ARRAY[' . query($number) . "::text, '$k']", $k), $truth, "$operator, the nearest $k");
	}
}
answer_is($front, fan_out('SELECT id, embedding <=> $1 AS d FROM items WHERE tenant = $2 ORDER BY d, id LIMIT 10 -- of a tenant',
	'ARRAY[' . query(3) . "::text, '4']", 10),
	'SELECT id, embedding <=> ' . query(3) . ' FROM whole WHERE tenant = 4 ORDER BY 2, 1 LIMIT 10', 'a filter column, and a comment at the end');
answer_is($front, fan_out('SELECT id, embedding <=> $1 FROM items WHERE engram_cosine_within(embedding, $1, 0.2);', 'ARRAY[' . query(5) . '::text]', 2147483647),
	'SELECT id, embedding <=> ' . query(5) . ' FROM whole WHERE (embedding <=> ' . query(5) . ') <= 0.2 ORDER BY 2, 1', 'a radius, without an order');
answer_is($front, fan_out('SELECT name, embedding <-> $1 FROM items ORDER BY embedding <-> $1, name LIMIT 12', 'ARRAY[' . query(6) . '::text]', 12, function => 'engram_uuid_fan_out'),
	'SELECT name, embedding <-> ' . query(6) . ' FROM whole WHERE embedding IS NOT NULL ORDER BY 2, 1 LIMIT 12', 'ids that are uuids');
answer_is($front, fan_out(q(SELECT id, CASE WHEN id < 5 THEN 'NaN' WHEN id < 8 THEN 'Infinity' ELSE -0.0 - id END FROM items WHERE id < 12), q('{}'), 100),
	q(SELECT id, CASE WHEN id < 5 THEN 'NaN' WHEN id < 8 THEN 'Infinity' ELSE -0.0 - id END::float8 FROM whole WHERE id < 12 ORDER BY 2, 1), 'distances that are none of ours');
is(in_front($front, q(SELECT count(*) FROM engram_fan_out('{s1,s2}', 'SELECT NULL::bigint, 1 UNION ALL SELECT 1, NULL', '{}', 5))), '0', 'rows without id or distance are none');
is(in_front($front, q(SELECT count(*) FROM engram_fan_out('{}', 'SELECT 1, 1', '{}', 5))), '0', 'no servers, no rows');
is(in_front($front, q(SELECT count(*) FROM engram_fan_out('{s1}', NULL, '{}', 5))), '0', 'no statement, no rows');
is(in_front($front, q(SELECT string_agg(concat(server, ' ', id), ', ') FROM engram_fan_out('{s2,s3,s1}', 'SELECT $1::int + 1, $2::float8', ARRAY['7', NULL]::text[], 5))),
	'', 'a parameter that is NULL');
is(in_front($front, q(SELECT string_agg(concat(server, ' ', id, ' ', distance), ', ') FROM engram_fan_out('{s2,s3,s1}', 'SELECT length($1), $2::float8', ARRAY[E'it''s \\\\ "$1"; --', '1e-300'], 5))),
	's2 15 1e-300, s3 15 1e-300, s1 15 1e-300', 'values are values, whatever they hold; ties by the order of servers');

# The whole result of many statements in one session: more than a connection prepares
is($front->safe_psql('postgres', join("\n", map { "SELECT id FROM engram_fan_out($all, 'SELECT id, $_ FROM items WHERE id = \$1', '{$_}', 1);" } 1 .. 80)),
	join("\n", 1 .. 80), 'eighty statements');
is($servers[0]->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_activity WHERE application_name = \'engramk\''),
	'0', 'with the session, its connections are gone');

# What is wrong before a server is asked

# A call that an error of this condition is caught of, after which it is the outcome
sub caught
{
	my ($call, $condition, $outcome) = @_;

	return "DO \$\$ BEGIN PERFORM $call; EXCEPTION WHEN $condition THEN PERFORM set_config('test.outcome', '$outcome', false); END \$\$";
}

sub error_is
{
	my ($sql, $sqlstate, $message, $name) = @_;
	my $error = front_error($front, $sql);

	like($error, qr/ERROR:  \Q$sqlstate\E: .*$message/s, $name);
	return;
}

error_is(q(SELECT * FROM engram_fan_out('{s1,nobody}', 'SELECT 1, 1', '{}', 5)), '42704', 'server "nobody" does not exist', 'a server that there is not');
error_is(q(SELECT * FROM engram_fan_out('{"host=localhost dbname=postgres"}', 'SELECT 1, 1', '{}', 5)), '42704', 'does not exist', 'a connection string is no server');
error_is(q(SELECT * FROM engram_fan_out('{s1,s2,s1}', 'SELECT 1, 1', '{}', 5)), '22023', 'server "s1" is named twice', 'a server twice');
error_is(q(SELECT * FROM engram_fan_out('{s1,NULL}', 'SELECT 1, 1', '{}', 5)), '22004', 'servers must not contain NULL', 'no name');
error_is(q(SELECT * FROM engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 0)), '22023', 'k must be between', 'k of 0');
foreach my $statement ('DROP TABLE items', 'SELECT 1, 1; DROP TABLE items', 'SELECT 1 AS id, 1 AS distance INTO made', '(SELECT 1 AS id, 1 AS distance INTO made UNION SELECT 2, 2) EXCEPT SELECT 1, 1', 'SELECT 1, 1) TO STDOUT; DROP TABLE items; --', '', ';', 'DELETE FROM items RETURNING 1, 1', 'COMMIT')
{
	error_is("SELECT * FROM engram_fan_out($all, \$q\$$statement\$q\$, '{}', 5)", '42601', '', "no single SELECT: $statement");
}
error_is("SET standard_conforming_strings = off; SELECT * FROM engram_fan_out($all, 'SELECT 1 AS id, ''\\\\'' AS distance INTO made --', '{}', 5)", '42601', 'must be one SELECT', 'a SELECT INTO behind a backslash');
is($servers[0]->safe_psql('postgres', q(SELECT count(*), to_regclass('made') IS NULL FROM items)), '1000|t', 'nothing of them was run');

# What a server says is wrong, with its SQLSTATE and its name; and the session goes on

like(front_error($front, "SELECT * FROM engram_fan_out($all, 'SELECT id, embedding <=> \$1 FROM items', '{\"{1,2}\"}', 5)"),
	qr/different vector dimensions.*server "s[123]"/s, 'vectors of other dimensions');
error_is("SELECT * FROM engram_fan_out($all, 'SELECT 1, 1/0', '{}', 5)", '22012', 'division by zero.*server "s[123]"', 'an error of the statement');
error_is("SELECT * FROM engram_fan_out($all, 'SELECT nothing', '{}', 5)", '42703', 'column "nothing" does not exist', 'a statement that makes no sense there');
error_is("SELECT * FROM engram_fan_out($all, 'SELECT 1, 1, 1', '{}', 5)", '42804', 'must return two columns.*It returns 3', 'too many columns');
error_is("SELECT * FROM engram_fan_out($all, 'SELECT 1', '{}', 5)", '42804', 'must return two columns.*It returns 1', 'too few columns');
error_is("SELECT * FROM engram_fan_out($all, 'SELECT now(), 1', '{}', 5)", '22P02', 'invalid input syntax for type bigint.*server "s[123]"', 'an id of another type');
error_is("SELECT * FROM engram_fan_out($all, 'SELECT 1, \$1', '{}', 5)", '42601', 'supplies 0 parameters', 'too few values');
error_is("SELECT * FROM engram_fan_out($all, 'SELECT 1, 1', '{1}', 5)", '42601', 'supplies 1 parameters', 'too many values');
error_is("SELECT * FROM engram_fan_out($all, 'SELECT 1, 1', array_fill('1'::text, ARRAY[65536]), 5)", '54000', 'must be at most 65535', 'more values than the protocol has');
is($front->safe_psql('postgres', "DO \$\$ BEGIN PERFORM engram_fan_out($all, 'SELECT 1, 1/0', '{}', 5); EXCEPTION WHEN division_by_zero THEN NULL; END \$\$;
	SELECT count(*) FROM engram_fan_out($all, 'SELECT 1, 1', '{}', 5)"), '3', 'after an error, all answer again');

# Roles: the password is the user mapping's, and the rights are those of the session

foreach my $server (@servers)
{
	$server->safe_psql('postgres', "CREATE ROLE app LOGIN PASSWORD 'secret'; GRANT SELECT ON items TO app");
	my $hba = $server->data_dir . '/pg_hba.conf';
	my $before = slurp_file($hba);
	unlink $hba;
	append_to_file($hba, "local all app scram-sha-256\nhost all app all scram-sha-256\n$before");
	$server->reload;
}
$front->safe_psql('postgres', 'CREATE ROLE app LOGIN');
my $as_app = 'SET ROLE app;';
error_is("$as_app SELECT * FROM engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 5)", '42501', 'permission denied for foreign server s1', 'without USAGE');
$front->safe_psql('postgres', 'GRANT USAGE ON FOREIGN SERVER s1, s2, s3 TO app');
error_is("$as_app SELECT * FROM engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 5)", '42704', 'user mapping not found', 'without a user mapping');
$front->safe_psql('postgres', join('', map { "CREATE USER MAPPING FOR app SERVER s$_ OPTIONS (user 'app', password 'secret');" } 1 .. 3));
is(in_front($front, "$as_app SELECT count(*) FROM engram_fan_out($all, 'SELECT id, 1 FROM items', '{}', 5000)"), '3000', 'with both');
is(in_front($front, "$as_app SELECT error IS NULL FROM engram_fan_out('{s1}', 'SELECT pg_backend_pid(), 1', '{}', 1);
	RESET ROLE; SELECT error IS NULL FROM engram_fan_out('{s1}', \$\$SELECT 1, 1 WHERE current_user <> 'app'\$\$, '{}', 1)"), "t\nt", 'each role has a connection of its own');
is(in_front($front, "$as_app SELECT count(*) FROM engram_fan_out('{s1}', \$\$SELECT 1, 1 WHERE current_user = 'app'\$\$, '{}', 1); RESET ROLE;
	ALTER USER MAPPING FOR app SERVER s1 OPTIONS (SET password 'wrong');
	SET ROLE app; SELECT error ~ 'password authentication failed' FROM engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 1, true)"), "1\nt", 'a user mapping that was altered counts at once');
$front->safe_psql('postgres', "ALTER USER MAPPING FOR app SERVER s1 OPTIONS (SET password 'secret')");
error_is("ALTER ROLE app CREATEROLE; $as_app ALTER USER MAPPING FOR app SERVER s1 OPTIONS (DROP password); SELECT * FROM engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 5)", '2F003', 'password is required.*The user mapping has none', 'without a password, if it is no superuser');
$front->safe_psql('postgres', "ALTER USER MAPPING FOR app SERVER s1 OPTIONS (ADD password 'secret')");
$servers[0]->safe_psql('postgres', 'CREATE ROLE trusted LOGIN');
error_is("ALTER USER MAPPING FOR app SERVER s1 OPTIONS (SET user 'trusted'); $as_app SELECT * FROM engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 5)", '2F003', 'password is required.*did not ask for one', 'nor with one that is not asked for');
$front->safe_psql('postgres', "ALTER USER MAPPING FOR app SERVER s1 OPTIONS (SET user 'app')");
is(in_front($front, "CREATE ROLE boss SUPERUSER; CREATE USER MAPPING FOR boss SERVER s1 OPTIONS (user 'trusted'); SET ROLE boss; SELECT count(*) FROM engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 5);
	RESET ROLE; ALTER ROLE boss NOSUPERUSER; GRANT USAGE ON FOREIGN SERVER s1 TO boss; SET ROLE boss;
	" . caught(q{engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 5)}, q(SQLSTATE '2F003'), 'refused') . "; SELECT current_setting('test.outcome')"),
	"1\nrefused", 'who was a superuser when a connection was made is no longer one');
is(in_front($front, "BEGIN; $as_app SELECT count(*) FROM engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 5); RESET ROLE; REVOKE USAGE ON FOREIGN SERVER s1 FROM app; SET LOCAL ROLE app;
	" . caught(q{engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 5)}, 'insufficient_privilege', 'refused') . "; SELECT current_setting('test.outcome'); ROLLBACK"),
	"1\nrefused", 'USAGE that was revoked counts at once');
my $open = $front->background_psql('postgres', on_error_stop => 0);
$open->query("BEGIN; SET LOCAL ROLE app; SELECT count(*) FROM engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 5)");
$front->safe_psql('postgres', 'REVOKE USAGE ON FOREIGN SERVER s1 FROM app');
$open->query(caught(q{engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 5)}, 'insufficient_privilege', 'refused'));
is($open->query("SELECT current_setting('test.outcome')"), 'refused', 'so does what another session revokes, in the middle of a transaction');
$open->quit;
$front->safe_psql('postgres', 'GRANT USAGE ON FOREIGN SERVER s1 TO app');
$front->safe_psql('postgres', 'CREATE SCHEMA evil; CREATE DOMAIN evil.text AS pg_catalog.text CHECK (false); CREATE DOMAIN evil.bigint AS pg_catalog.int8 CHECK (false)');
is(in_front($front, "SET search_path = evil, public; SELECT count(*) FROM engram_fan_out($all, 'SELECT 1, 1', '{}', 5)"), '3', 'a hostile search_path');

# More servers than a session can have connections: those too many are missing, and so are those
# that do not answer; and afterwards there is room again.
my $listener = IO::Socket::INET->new(Listen => 100, LocalAddr => '127.0.0.1', Proto => 'tcp') or die "listen: $!";
my $port_of_nobody = $listener->sockport;
$front->safe_psql('postgres', 'ALTER SYSTEM SET max_files_per_process = 100');
$front->restart;
$front->safe_psql('postgres', "DO \$\$ BEGIN FOR i IN 1..60 LOOP
	EXECUTE format('CREATE SERVER many_%s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host ''127.0.0.1'', port ''$port_of_nobody'', connect_timeout ''1'')', i);
	EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER many_%s', i); END LOOP; END \$\$");
like(in_front($front, "SELECT count(*) FROM engram_fan_out($all, 'SELECT 1, 1', '{}', 5);
	SELECT count(*), bool_or(error ~ 'too many open files'), bool_or(error ~ 'timeout expired') FROM engram_fan_out((SELECT array_agg(srvname) FROM pg_foreign_server WHERE srvname LIKE 'many%'), 'SELECT 1, 1', '{}', 5, true);
	SELECT count(*) FROM engram_fan_out($all, 'SELECT 1, 1', '{}', 5)"), qr/^3\n60\|t\|t\n3$/, 'sixty servers, and a hundred files');
$front->safe_psql('postgres', "DO \$\$ BEGIN FOR i IN 1..60 LOOP EXECUTE format('DROP SERVER many_%s CASCADE', i); END LOOP; END \$\$");
$front->safe_psql('postgres', 'ALTER SYSTEM RESET max_files_per_process');
$front->restart;

# What a connection is made by may be altered, by whoever: wrapper, server, mapping; or a
# mapping comes that is more to the point.  What others alter is none of its business.
is(in_front($front, "DROP USER MAPPING FOR app SERVER s3; CREATE USER MAPPING FOR PUBLIC SERVER s3 OPTIONS (user 'app', password 'secret');
	$as_app SELECT id FROM engram_fan_out('{s3}', 'SELECT 1, 1', '{}', 5); RESET ROLE; CREATE USER MAPPING FOR app SERVER s3 OPTIONS (user 'app', password 'wrong');
	SET ROLE app; SELECT error ~ 'authentication failed' FROM engram_fan_out('{s3}', 'SELECT 1, 1', '{}', 1, true)"), "1\nt", 'a mapping of its own counts at once');
in_front($front, "DROP USER MAPPING FOR PUBLIC SERVER s3; ALTER USER MAPPING FOR app SERVER s3 OPTIONS (SET password 'secret')");
my $own = q(SELECT id FROM engram_fan_out('{s1}', 'SELECT pg_backend_pid(), 1', '{}', 1););
foreach my $case ([ "ALTER SERVER s2 OPTIONS (ADD application_name 'other')", 1 ], [ "ALTER SERVER s1 OPTIONS (ADD application_name 'other')", 2 ],
	[ 'ALTER FOREIGN DATA WRAPPER dblink_fdw NO VALIDATOR', 1 ], [ 'ALTER FOREIGN DATA WRAPPER postgres_fdw NO VALIDATOR', 2 ])
{
	my ($change, $count) = @$case;
	my %pids = map { $_ => 1 } split /\n/, in_front($front, "BEGIN; $own $change; SAVEPOINT s; $own ROLLBACK");

	is(scalar keys %pids, $count, "connections after $change");
}

# A connection is of no use to roles that have no right to it: neither one of a function with
# its owner's rights, nor one of a role that the session took for a while; nor to dblink.
$front->safe_psql('postgres', "CREATE ROLE low; CREATE FUNCTION search() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS \$f\$ SELECT count(*) FROM engram_fan_out($all, 'SELECT id, 1 FROM items', '{}', 5000) \$f\$");
like(front_error($front, "SET SESSION AUTHORIZATION low; SELECT search(); SELECT engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 1)"), qr/42501: permission denied for foreign server s1/, "a function with its owner's rights lends none");
is(in_front($front, "SELECT search(); SELECT dblink_get_connections() IS NULL"), "3000\nt", 'dblink knows nothing of them');
is(in_front($front, "CREATE SERVER gone FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '" . $servers[0]->host . "', port '" . $servers[0]->port . "', dbname 'postgres');
	CREATE USER MAPPING FOR CURRENT_USER SERVER gone; SELECT count(*) FROM engram_fan_out('{gone}', 'SELECT 1, 1', '{}', 5); DROP SERVER gone CASCADE;
	SELECT id FROM engram_fan_out('{s1}', \$\$SELECT count(*), 1 FROM pg_stat_activity WHERE application_name = 'engramk' AND state = 'idle'\$\$, '{}', 5)"), "1\n0", 'a server that was dropped has none any more');

# What a connection has prepared, and is no longer so: of other types, gone, too long, or too much
$servers[0]->safe_psql('postgres', "CREATE TABLE changing AS SELECT id, 1::real AS distance FROM items LIMIT 2;
	CREATE FUNCTION forget(i integer) RETURNS integer LANGUAGE plpgsql AS \$\$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN i; END \$\$");
is(in_front($front, "SELECT count(*) FROM engram_fan_out('{s1}', 'SELECT * FROM changing', '{}', 5);
	SELECT dblink_exec('s1', 'ALTER TABLE changing ALTER distance TYPE double precision'); SELECT count(*) FROM engram_fan_out('{s1}', 'SELECT * FROM changing', '{}', 5)"),
	"2\nALTER TABLE\n2", 'what was prepared and has other types now is prepared again');
is(in_front($front, "SELECT id FROM engram_fan_out('{s1}', 'SELECT forget(7), 1', '{}', 5);" x 3), "7\n7\n7", 'so is what the server has forgotten');
is(in_front($front, "SELECT id FROM engram_fan_out('{s1}', repeat(' ', 100000) || 'SELECT \$1::int, count(*) FROM pg_prepared_statements', '{7}', 5);
	SELECT distance FROM engram_fan_out('{s1}', repeat(' ', 100000) || 'SELECT \$1::int, count(*) FROM pg_prepared_statements', '{8}', 5)"), "7\n0", 'a statement of 100 kB is not kept');
is(in_front($front, join(';', map { "SELECT max(distance) <= 32 FROM engram_fan_out('{s1}', 'SELECT $_, count(*) FROM pg_prepared_statements', '{}', 5)" } 1 .. 70)),
	join("\n", ('t') x 70), 'nor are more than 32');

# What a statement raises is the statement's, whatever its class; and what it remarks goes to the log
$servers[0]->safe_psql('postgres', "CREATE FUNCTION say(i integer) RETURNS integer LANGUAGE plpgsql AS \$\$ BEGIN RAISE WARNING 'a remark'; RETURN i; END \$\$;
	CREATE FUNCTION fail(code text) RETURNS integer LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = code, DETAIL = 'why', HINT = 'how'; END \$\$");
unlike(front_error($front, "SELECT * FROM engram_fan_out('{s1}', 'SELECT nothing', '{}', 1)"), qr/\(null\)/, 'an error without a context');
like(front_error($front, "SELECT * FROM engram_fan_out('{s1}', 'SELEC 1, 1', '{}', 1)"), qr/42601: syntax error.*QUERY:  SELEC 1, 1/s, 'an error of the grammar shows the statement');
error_is("ALTER SERVER s1 OPTIONS (SET connect_timeout 'soon'); SELECT * FROM engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 1)", '22023', 'invalid value "soon" for option "connect_timeout"', 'a timeout that is no number');
$front->safe_psql('postgres', "ALTER SERVER s1 OPTIONS (SET connect_timeout '2')");
foreach my $code ('08006', '57P01', '26000', '0A000', 'XX000')
{
	error_is("SELECT 1 FROM engram_fan_out('{s1}', 'SELECT 1, 1', '{}', 1); SELECT * FROM engram_fan_out('{s1}', 'SELECT fail(\$1), 1', '{$code}', 1, true)", $code, 'on purpose.*why.*how.*PL/pgSQL function fail.*server "s1"', "an error of the statement with SQLSTATE $code");
}
my $log = -s $front->logfile;
is(in_front($front, "SELECT id FROM engram_fan_out('{s1}', 'SELECT say(7), 1', '{}', 1)"), '7', 'a statement that warns');
like(substr(slurp_file($front->logfile), $log), qr/LOG:  message of a foreign server: WARNING: a remark/, "is in the front's log");

# Connections that are cut in the middle of an answer: the rows that came count once, or not at all.
foreach my $ready (2 .. 5)
{
	my ($proxy, $port) = cutting_proxy($servers[0], $ready);

	in_front($front, "CREATE SERVER cut FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '127.0.0.1', port '$port', dbname 'postgres', sslmode 'disable', gssencmode 'disable'); CREATE USER MAPPING FOR CURRENT_USER SERVER cut");
	my $ask = "SELECT coalesce(sum(id), 0), count(error), count(DISTINCT id) FROM engram_fan_out('{cut}', 'SELECT id, 1 FROM items ORDER BY id LIMIT 500', '{}', 2000, true);\n";
	my @answers = split /\n/, in_front($front, $ask x 6);
	my $whole = $servers[0]->safe_psql('postgres', 'SELECT sum(id), 0, 500 FROM (SELECT id FROM items ORDER BY id LIMIT 500) AS i');

	is(join(' ', grep { $_ ne $whole && $_ ne '0|1|0' } @answers), '', "cut before answer $ready has come to its end: all rows or none") or diag("@answers");
	is($answers[-1], $whole, 'and whole again later');
	in_front($front, 'DROP SERVER cut CASCADE');
	kill 'TERM', $proxy;
	waitpid $proxy, 0;
}

# Servers that are down

my $ten = 'SELECT id, embedding <=> $1 FROM items ORDER BY embedding <=> $1, id LIMIT 10';
my $parameters = 'ARRAY[' . query(7) . '::text]';

my $session = $front->background_psql('postgres', on_error_stop => 0);
sub in_session { return $session->query($_[0]); }

is(in_session("SELECT count(*) FROM engram_fan_out($all, \$\$$ten\$\$, $parameters, 30)"), '30', 'a session has connections');
$servers[1]->restart;
is(in_session("SELECT count(*) FROM engram_fan_out($all, \$\$$ten\$\$, $parameters, 30)"), '30', 'a server was restarted: it is connected again');
$servers[1]->stop('immediate');
is(in_session("SELECT server, id, distance, left(error, 30) FROM engram_fan_out($all, \$\$$ten\$\$, $parameters, 1, true) ORDER BY server = 's2'") =~ s/^s[13].*\n//r,
	's2|||could not establish connection', 'a server that is down is named, if asked for');
like(front_error($front, "SELECT * FROM engram_fan_out($all, \$\$$ten\$\$, $parameters, 30)"),
	qr/ERROR:  08001: server "s2" did not answer\nDETAIL:  could not establish connection/, 'else there is an error');
is(in_session("SELECT count(*) FROM engram_fan_out('{s1,s3}', \$\$$ten\$\$, $parameters, 30)"), '20', 'the others answer');
$servers[1]->start;
is(in_session("SELECT count(*) FROM engram_fan_out($all, \$\$$ten\$\$, $parameters, 30)"), '30', 'and it is back');
in_session('ALTER SERVER s2 OPTIONS (SET port \'' . $servers[0]->port . '\')');
is(in_session("SELECT count(DISTINCT id) FROM engram_fan_out($all, \$\$$ten\$\$, $parameters, 30)"), '20', 'a server that was altered is another one at once');
in_session('ALTER SERVER s2 OPTIONS (SET port \'' . $servers[1]->port . '\')');
$_->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'engramk'") foreach @servers;
is(in_session("SELECT count(DISTINCT id) FROM engram_fan_out($all, \$\$$ten\$\$, $parameters, 30)"), '30', 'connections that were terminated are made anew');

# Servers that do not answer

sub sleepers { return join(' ', map { $_->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()") } @servers); }
sub no_sleepers
{
	my ($name) = @_;

	$_->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()")
		or die "server goes on: $name" foreach @servers;
	is(sleepers(), '0 0 0', $name);
	return;
}
my $slow = "SELECT count(*) FROM engram_fan_out($all, 'SELECT 1, 1 FROM pg_sleep(600)', '{}', 1)";

like(front_error($front, "SET statement_timeout = '300ms'; $slow"), qr/57014: canceling statement due to statement timeout/, 'statement_timeout ends it');
no_sleepers('and reaches all servers');
my $pid = in_session('SELECT pg_backend_pid()');
$session->query_until(qr/begun/, "\\echo begun\n$slow;\n");
foreach my $server (@servers)
{
	$server->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()") or die 'not begun';
}
in_front($front, "SELECT pg_cancel_backend($pid)");
no_sleepers('a cancel reaches all servers');
is(in_session("SELECT count(DISTINCT id) FROM engram_fan_out($all, \$\$$ten\$\$, $parameters, 30)"), '30', 'the session goes on');
$session->query_until(qr/begun/, "\\echo begun\n$slow;\n");
$_->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()") foreach @servers;
in_front($front, "SELECT pg_terminate_backend($pid)");
no_sleepers('so does the end of the session');
$session->{run}->finish;

# A server whose processes stand still: connected already, and not
$session = $front->background_psql('postgres', on_error_stop => 0);
in_session("SELECT count(*) FROM engram_fan_out($all, \$\$$ten\$\$, $parameters, 30)");
kill_all($servers[2], 'STOP');
in_session("SET statement_timeout = '500ms'");
is(in_session(caught("engram_fan_out($all, 'SELECT length(\$1), 1', ARRAY[repeat('x', 50000000)], 5)", 'query_canceled', 'not sent') . ";
	SELECT current_setting('test.outcome')"), 'not sent', 'a server that stands still: more than the system buffers is not waited for');
kill_all($servers[2], 'CONT');
in_session("RESET statement_timeout; SELECT count(*) FROM engram_fan_out($all, \$\$$ten\$\$, $parameters, 30)");
kill_all($servers[2], 'STOP');
in_session("SET statement_timeout = '500ms'");
is(in_session(caught("engram_fan_out($all, 'SELECT 1, 1', '{}', 5)", 'query_canceled', 'cancelled') . ";
	SELECT current_setting('test.outcome')"), 'cancelled', 'a server that stands still: statement_timeout');
in_session('RESET statement_timeout');
like(in_session("SELECT server, error FROM engram_fan_out($all, \$\$$ten\$\$, $parameters, 1, true) WHERE error IS NOT NULL"),
	qr/^s3\|could not establish connection: .*timeout expired/, 'connect_timeout, and it is named');
is(in_session("SET statement_timeout = '200ms'; " . caught("engram_fan_out($all, 'SELECT 1, 1', '{}', 5, true)", 'query_canceled', 'again') . ";
	RESET statement_timeout; SELECT current_setting('test.outcome')"), 'again', 'statement_timeout ends that, too');
kill_all($servers[2], 'CONT');
is(in_session("SELECT count(DISTINCT id) FROM engram_fan_out($all, \$\$$ten\$\$, $parameters, 30)"), '30', 'it goes on');
$session->quit;

# A server that is killed, again and again, in the middle of a thousand queries: each is
# right, or an error that says what happened

in_front($front, <<"SQL");
CREATE TABLE truth AS SELECT number, v::text AS v, ARRAY(SELECT (id, float8send(embedding <=> v))::text FROM whole
    WHERE embedding IS NOT NULL ORDER BY embedding <=> v, id LIMIT 10) AS answer FROM query;
CREATE TABLE outcome (outcome text);
CREATE FUNCTION ask(n integer) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
    q truth;
    result text;
BEGIN
    SELECT * INTO q FROM truth ORDER BY number OFFSET n % 39 LIMIT 1;
    BEGIN
        SELECT CASE WHEN array_agg((id, float8send(distance))::text) = q.answer THEN 'right' ELSE 'wrong' END INTO result
        FROM engram_fan_out($all, \$q\$$ten\$q\$, ARRAY[q.v], 10);
    EXCEPTION WHEN OTHERS THEN
        result := SQLSTATE;
    END;
    INSERT INTO outcome VALUES (result);
END \$\$;
SQL
my $script = $front->basedir . '/ask.sql';
append_to_file($script, "\\set n random(0, 1000000)\nSELECT ask(:n);\n");
my $load = IPC::Run::start([ 'pgbench', '-n', '-c', '4', '-t', '500', '-h', $front->host, '-p', $front->port, '-f', $script, 'postgres' ],
	'>', \my $load_out, '2>', \my $load_err);
foreach my $time (1 .. 5)
{
	$front->poll_query_until('postgres', "SELECT count(*) >= $time * 150 FROM outcome");
	$servers[($time + 1) % 3]->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
		foreach 1 .. 10;
	$servers[$time % 3]->stop('immediate');
	$front->poll_query_until('postgres', "SELECT count(*) >= $time * 150 + 50 FROM outcome");
	$servers[$time % 3]->start;
}
ok($load->finish, 'two thousand queries while servers are killed five times') or diag($load_err);
is(in_front($front, "SELECT count(*) FROM outcome WHERE outcome NOT IN ('right', '08001', '08006', '57P01', '57P02', '57P03')"), '0', 'each is right, or says that a server is gone')
	or diag(in_front($front, 'SELECT outcome, count(*) FROM outcome GROUP BY 1'));
is(in_front($front, "SELECT count(*) FROM outcome"), '2000', 'each has come to an end');
note(in_front($front, 'SELECT outcome, count(*) FROM outcome GROUP BY 1'));

done_testing();
