# What the tests with servers of their own share.
#
# A node is a PostgreSQL::Test::Cluster in which engramk can be created; see
# run.sh for how it gets there.
package Engramk;

use strict;
use warnings;

use Answers;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(start_node start_made log_of query_as sqlstate_is level_lacking_here wait_until_active
	wait_until_setting);

# A running server with engramk in its database postgres, where "plain" is a
# user without privileges.
sub start_node
{
	my ($name, @settings) = @_;

	return start_made(PostgreSQL::Test::Cluster->new($name), @settings);
}

# The same of a node that is there, but has no data yet.
sub start_made
{
	my ($node, @settings) = @_;

	$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
	$node->append_conf('postgresql.conf', $_) foreach @settings;
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION engramk; CREATE ROLE plain LOGIN;');
	return $node;
}

# What the server has logged since it logged `$from` bytes.
sub log_of
{
	my ($node, $from) = @_;

	return slurp_file($node->logfile, $from // 0);
}

# Runs statements in one new session of a user, whose client asks for the
# given options when it connects.  Returns (exit code, stdout, stderr).
sub query_as
{
	my ($node, $user, $options, $sql) = @_;
	my ($out, $err);

	local $ENV{PGOPTIONS} = $options;
	my $code = $node->psql('postgres', $sql,
		stdout => \$out, stderr => \$err,
		on_error_stop => 0,
		extra_params => [ '--username', $user, '--set', 'VERBOSITY=verbose' ]);
	return ($code, $out, $err);
}

sub sqlstate_is
{
	my ($stderr, $sqlstate, $name) = @_;

	like($stderr, qr/(?:ERROR|FATAL|WARNING):  \Q$sqlstate\E:/, $name);
	return;
}

# A level that no CPU of this architecture has.
sub level_lacking_here
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		"SELECT level FROM engram_simd_info() WHERE NOT compiled ORDER BY level LIMIT 1");
}

# Waits until that session is inside a statement that contains the text.
sub wait_until_active
{
	my ($node, $pid, $text) = @_;

	$node->poll_query_until('postgres',
		"SELECT state = 'active' AND strpos(query, '$text') > 0 FROM pg_stat_activity WHERE pid = $pid")
	  or die "the session never became active";
	return;
}

# Waits until the session has taken over a new value from the file: the signal
# to reload reaches it some time after the server.
sub wait_until_setting
{
	my ($session, $expected, $what) = @_;
	my $value;

	foreach my $attempt (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		$value = $session->query("SELECT current_setting('engramk.simd')");
		return if $value eq $expected;
		usleep(100_000);
	}
	die "$what, but the session still says $value";
}

1;
