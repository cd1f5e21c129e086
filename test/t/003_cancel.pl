# A cancel request and statement_timeout are honoured inside a long batch, not
# only after it, and leave the session sound.
#
# Where the statement was when it was cancelled shows in the backtrace that the
# server logs, so nothing here depends on how fast the machine is.

use strict;
use warnings;

use Engramk;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('cancel', "backtrace_functions = 'ProcessInterrupts'");

$node->safe_psql('postgres', q{
	CREATE TABLE item AS SELECT i AS id, ARRAY[sin(i), cos(i), sin(i * 3), cos(i * 7)]::real[] AS v FROM generate_series(1, 20000) AS i;
	CREATE INDEX ON item USING engramk (v);
	ALTER DATABASE postgres SET enable_seqscan = off;
});

# More than 100 MB of candidates, again and again
sub endless
{
	my ($call) = @_;

	return qq{
		DO \$\$
		DECLARE
			query real[] := array_fill(0.5::real, ARRAY[1000]);
			candidates real[] := array_fill(0.25::real, ARRAY[27000000]);
			result text;
		BEGIN
			PERFORM set_config('application_name', 'inside', false);
			LOOP
				$call
			END LOOP;
		END \$\$;
		};
}

my %call = (
	'engram_cosine_batch' => 'result := cardinality(engram_cosine_batch(query, candidates));',
	'engram_topk' => 'result := (SELECT max(similarity) FROM engram_topk(query, candidates, 10));',
	'engram_nearest' => q{result := (SELECT max(cardinality(neighbours)) FROM
		(SELECT engram_nearest(i, ARRAY[sin(i)]::real[], '{1}', 2147483647) OVER (ORDER BY i) AS neighbours
		 FROM generate_series(1::bigint, 60000) AS i) AS running);},
	'engram_knn_join' => q{result := (SELECT count(*) FROM engram_knn_join(
		'SELECT i, ARRAY[1, i]::real[] FROM generate_series(1, 100) AS i',
		'SELECT i, ARRAY[1, i]::real[] FROM generate_series(1, 20000) AS i', 20000));},
	'index scan' => q{result := (SELECT sum(id) FROM generate_series(1, 10) AS n, LATERAL
		(SELECT id FROM item ORDER BY v <=> ARRAY[n, 1, -n, 0]::real[] LIMIT 1) AS nearest);});

# Where it must have been: most functions have no names there.
# As a window function, engram_nearest has nearly all of its work at the end,
# where the result is sorted and built.
my %inside = (
	'engram_cosine_batch' => qr/engramk\.so\(/,
	'engram_topk' => qr/engramk\.so\(/,
	'engram_nearest' => qr/engramk\.so\(/,
	'engram_knn_join' => qr/engramk\.so\(ek_sql_knn_join/,
	'index scan' => qr/engramk\.so\(/);

sub is_sound
{
	my ($session, $name) = @_;

	is($session->query(q{SELECT engram_cosine_batch('{3,4}', '{4,3,0,0}')}), '{0.96,0}',
		"$name: the next batch is right");
	is($session->query(q{SELECT ordinal FROM engram_topk('{3,4}', '{0,0,3,4}', 1)}), '2',
		"$name: the next top-k is right");
	is($session->query('SELECT capacity, overflows FROM engram_arena_stats()'), '2097152|0',
		"$name: the arena is as it was");
	return;
}

foreach my $function (sort keys %call)
{
	my $session = $node->background_psql('postgres',
		on_error_stop => 0, extra_params => [ '--set', 'VERBOSITY=verbose' ]);
	my $pid = $session->query('SELECT pg_backend_pid()');
	my $found = 0;

	$session->query('SET plan_cache_mode = force_generic_plan');

	# A cancel may happen to arrive between two calls; one of a few will not.
	for (my $attempt = 0; $attempt < 10 && !$found; $attempt++)
	{
		my $log_begin = -s $node->logfile;

		$session->query("SET application_name = 'outside'");
		$session->{stderr} = '';
		$session->query_until(qr/begun/, "\\echo begun\n" . endless($call{$function}));
		$node->poll_query_until('postgres',
			"SELECT application_name = 'inside' FROM pg_stat_activity WHERE pid = $pid")
		  or die 'the batch never began';
		$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
		$session->query('SELECT 1');
		like($session->{stderr}, qr/ERROR:  57014: canceling statement due to user request/,
			"$function: cancelled");
		$session->{stderr} = '';
		$found = log_of($node, $log_begin) =~ $inside{$function};
	}
	ok($found, "$function: cancelled inside the function");
	is_sound($session, "$function, cancelled");

	$found = 0;
	for (my $timeout = 500; $timeout <= 32000 && !$found; $timeout *= 2)
	{
		my $log_begin = -s $node->logfile;

		$session->query("SET statement_timeout = $timeout");
		$session->{stderr} = '';
		$session->query(endless($call{$function}));
		like($session->{stderr}, qr/ERROR:  57014: canceling statement due to statement timeout/,
			"$function: timed out");
		$session->{stderr} = '';
		$session->query('RESET statement_timeout');
		$found = log_of($node, $log_begin) =~ $inside{$function};
	}
	ok($found, "$function: timed out inside the function");
	is_sound($session, "$function, timed out");
	$session->quit;
}

$node->stop;
done_testing();
