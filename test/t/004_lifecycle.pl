# What uses engramk survives a dump and restore, and a crash in the middle of
# a function.

use strict;
use warnings;

use Engramk;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('lifecycle', 'restart_after_crash = on');

# Everything that can hold on to a function or an operator
$node->safe_psql('postgres', q{
	DROP EXTENSION engramk;
	CREATE SCHEMA vectors;
	CREATE EXTENSION engramk SCHEMA vectors;
	ALTER DATABASE postgres SET search_path = public, vectors;
});
$node->safe_psql('postgres', q{
	CREATE TABLE item (
		id integer PRIMARY KEY,
		embedding real[] NOT NULL CHECK (engram_is_valid(embedding)),
		length double precision GENERATED ALWAYS AS (engram_norm(embedding)) STORED);
	INSERT INTO item
		SELECT i, (SELECT array_agg((sin(i * 37 + j) * 10 ^ (j % 30))::real ORDER BY j) FROM generate_series(1, 300) j)
		FROM generate_series(1, 100) i;
	INSERT INTO item VALUES (0, array_fill(0::real, ARRAY[300])), (-1, array_fill(3.4028235e38::real, ARRAY[300])),
		(-2, array_fill(1e-45::real, ARRAY[300])), (-3, array_fill(0.1::real, ARRAY[300], ARRAY[-5]));
	CREATE INDEX item_normalized ON item (engram_normalize(embedding)) WHERE engram_norm(embedding) < 1;
	CREATE VIEW nearest AS
		SELECT id, embedding <=> (SELECT embedding FROM item WHERE id = 7) AS distance FROM item ORDER BY distance, id;
	CREATE MATERIALIZED VIEW furthest AS
		SELECT id, embedding <-> (SELECT embedding FROM item WHERE id = 7) AS distance FROM item;
	CREATE FUNCTION similar_to(wanted integer, k integer) RETURNS SETOF integer STABLE
		BEGIN ATOMIC
			SELECT i.id FROM item i ORDER BY i.embedding <+> (SELECT embedding FROM item WHERE id = wanted), i.id LIMIT k;
		END;
	CREATE FUNCTION taxi(real[], real[]) RETURNS double precision LANGUAGE sql IMMUTABLE RETURN $1 <+> $2;
});

my $answer = q{
	SELECT id, length, float8send(distance) FROM item JOIN nearest USING (id) ORDER BY distance, id;
	SELECT id, float8send(distance) FROM furthest ORDER BY id;
	SELECT similar_to(7, 20);
	SELECT id, float8send(taxi(embedding, embedding)), float8send(embedding <#> embedding) FROM item ORDER BY id;
	SELECT id, vectors.engram_normalize(embedding) FROM item ORDER BY id;
	SELECT ordinal, float8send(similarity) FROM engram_topk(
		(SELECT embedding FROM item WHERE id = 7), (SELECT array_agg(embedding ORDER BY id) FROM item WHERE id > -3), 20);
};
my $before = $node->safe_psql('postgres', $answer);

# Dump and restore

sub dump_of
{
	my ($database) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$database.sql";

	$node->command_ok([ 'pg_dump', '--file', $file, $database ], "pg_dump of $database");
	return $file;
}

# The keys of \restrict are made up anew by each dump.
sub contents_of
{
	my ($file) = @_;

	return slurp_file($file) =~ s/^\\(?:un)?restrict .*\n//gmr;
}

my $dump = dump_of('postgres');
like(slurp_file($dump), qr/^CREATE EXTENSION IF NOT EXISTS engramk WITH SCHEMA vectors;$/m,
	'a dump has the extension by its name');
unlike(slurp_file($dump), qr/CREATE FUNCTION vectors\./, 'and none of its members');

$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->safe_psql('postgres', 'ALTER DATABASE restored SET search_path = public, vectors');
$node->command_ok([ 'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--file', $dump, 'restored' ],
	'the dump can be restored');
is($node->safe_psql('restored', $answer), $before, 'the restored database gives the same answers');
is(contents_of(dump_of('restored')), contents_of($dump), 'and the same dump');

# Restart

$node->restart;
is($node->safe_psql('postgres', $answer), $before, 'the same answers after a restart');

# A crash inside a function takes the server down and up again, as any crash
# of a backend does, and nothing more.

my $bystander = $node->background_psql('postgres', on_error_stop => 0);
is($bystander->query('SELECT 1'), '1', 'somebody else is connected');
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $session->query('SELECT pg_backend_pid()');
my $log_begin = -s $node->logfile;

$session->query_until(qr/begun/, q{\echo begun
	INSERT INTO item SELECT 1000, embedding FROM item WHERE id = 1;
	DO $$
	DECLARE
		query real[] := array_fill(0.5::real, ARRAY[1000]);
		candidates real[] := array_fill(0.25::real, ARRAY[10000000]);
		result integer;
	BEGIN
		INSERT INTO item SELECT 1001, embedding FROM item WHERE id = 1;
		PERFORM set_config('application_name', 'inside', false);
		LOOP
			result := cardinality(engram_cosine_batch(query, candidates));
		END LOOP;
	END $$;
	});
$node->poll_query_until('postgres',
	"SELECT application_name = 'inside' FROM pg_stat_activity WHERE pid = $pid")
  or die 'the batch never began';
is(kill('KILL', $pid), 1, 'the backend is killed');
$node->wait_for_log(qr/all server processes terminated; reinitializing.*ready to accept connections/s, $log_begin);
$node->poll_query_until('postgres', "SELECT NOT EXISTS
	(SELECT FROM pg_stat_activity WHERE application_name = 'inside')")
  or die 'no recovery';
like(log_of($node, $log_begin), qr/terminated by signal 9.*all server processes terminated; reinitializing/s,
	'the server recovered from it');
is($node->safe_psql('postgres', 'SELECT id FROM item WHERE id >= 1000'), '1000',
	'what was committed is there, and nothing else');
$node->safe_psql('postgres', 'DELETE FROM item WHERE id = 1000');
is($node->safe_psql('postgres', $answer), $before, 'the same answers after it');
is($node->safe_psql('postgres', 'SELECT * FROM engram_arena_stats()'), '0|0|0|0|0',
	'a new backend counts from zero');
eval { $_->quit } foreach ($session, $bystander);

$node->stop;
done_testing();
