# Walks from the packages of one version to those of another and back, under
# load, in a clean root: the packages are in /packages/older and /packages/newer.
#
#	perl drill.pl MAJOR OLDER NEWER
#
# Proves that dpkg disturbs no session, that both orders of the way back lead
# there (SQL before the package, as the runbook has it, and after it), and what
# is to be done where the older package of the ways back has been put in place
# as well.  Exits with 0 if every check holds, no query failed and no answer
# differed.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../drill";

use Catalog;
use Load;
use Session;
use Time::HiRes qw(time);
use Ways;

my ($major, $old, $new) = @ARGV;
my %directory = ($old => '/packages/older', $new => '/packages/newer');
my @databases = qw(drill drill_two);
my @kinds = qw(distances batches nearest by_index of_tenant);
my $staying = 8;
my $reconnecting = 2;

my ($monitor, $home);
my %catalog;
$| = 1;

# A command of an administrator, whose output matters only if it fails.
sub command
{
	my (@words) = @_;
	my $log = "$ENV{DRILL_SCRATCH}/command.log";

	system("@words >$log 2>&1") == 0 or die "@words:\n" . Load::slurp($log);
	return;
}

# Packages

# Puts a version of the packages in place: the library with its scripts (''), or
# the ways back ('-downgrades').
sub install
{
	my ($version, @suffixes) = @_;

	command('dpkg', '-i', map { "$directory{$version}/postgresql-$major-engramk${_}_*.deb" } @suffixes);
	command('apt-get', 'check');
	return;
}

# The load

sub start_load
{
	my @loads = (
		Load->new(database => 'drill', scripts => \@kinds, clients => $staying, user => 'drill_app',
			application => 'drill_stay'),
		Load->new(database => 'drill_two', scripts => \@kinds, clients => $reconnecting, user => 'drill_canary',
			application => 'drill_reconnect', reconnect => 1));

	let_load_go_on();
	return @loads;
}

# Until every client that stays has begun another statement, and others are new.
sub let_load_go_on
{
	my $moment = $monitor->run('SELECT clock_timestamp()');

	wait_until('every client goes on', sub {
		$monitor->run(<<"SQL") eq 't' });
SELECT count(*) FILTER (WHERE application_name = 'drill_stay' AND query_start > '$moment') = $staying
	AND count(*) FILTER (WHERE application_name = 'drill_reconnect' AND backend_start > '$moment') > 0
FROM pg_stat_activity
SQL
	return;
}

# Of the sessions that stay, those whose library the runbook finds replaced
sub with_replaced_library
{
	my @pids = split /\n/, $monitor->run(
		"SELECT pid FROM pg_stat_activity WHERE application_name = 'drill_stay' ORDER BY pid");

	return grep { Load::slurp("/proc/$_/maps") =~ /engramk\.so.* \(deleted\)/ } @pids;
}

sub finish_step
{
	my ($name, $seconds, @loads) = @_;
	my @became = finish_load(\@databases, @loads);

	check(Session->new(database => 'drill')->run("SELECT engram_index_check('word_embedding') = 2000") eq 't',
		'the index is whole');
	add_row($name, sprintf('%.1f', $seconds), @became);
	return;
}

# Versions

sub update_everywhere
{
	my ($version) = @_;

	Session->new(database => $_)->run("SET lock_timeout = '2s'; ALTER EXTENSION engramk UPDATE TO '$version'")
	  foreach @databases;
	return;
}

sub check_library
{
	my ($version) = @_;
	my $session = Session->new(database => 'drill');

	$session->run("SELECT engram_norm('{3,4}')");
	my $maps = Load::slurp('/proc/' . $session->pid . '/maps');
	my $package = `dpkg-query -W -f '\${Version}' postgresql-$major-engramk`;
	check($maps =~ /engramk\.so$/m && $package =~ /^\Q$version\E\./, "a new session has the library of $version", $package);
	my @replaced = with_replaced_library();
	check(@replaced == $staying, 'older sessions keep theirs', @replaced . " of $staying");
	return;
}

# Is everything in SQL as it was when this version was first there?
sub check_sql
{
	my ($version) = @_;
	my $catalog = extension_catalog($home);

	$catalog{$version} //= $catalog;
	my @difference = difference_of($catalog{$version}, $catalog);
	check(!@difference, "the catalog is that of $version", @difference);
	foreach my $database (@databases)
	{
		my $found = Session->new(database => $database)
		  ->run("SELECT extversion FROM pg_extension WHERE extname = 'engramk'");
		check($found eq $version, "$database is at $version", $found);
	}
	return;
}

sub step_forward
{
	my ($name) = @_;

	print "Forward: the packages of $new, then the version in SQL\n";
	my @loads = start_load();
	my $decision = time();
	install($new, '', '-downgrades');
	let_load_go_on();
	check_library($new);
	check_sql($old);
	update_everywhere($new);
	my $seconds = time() - $decision;
	let_load_go_on();
	check_sql($new);
	finish_step($name, $seconds, @loads);
	return;
}

sub step_sql_first
{
	print "Back: the version in SQL, then the package of $old\n";
	my @loads = start_load();
	my $decision = time();
	update_everywhere($old);
	install($old, '');
	my $seconds = time() - $decision;
	let_load_go_on();
	check_library($old);
	check_sql($old);
	finish_step("back to $old, SQL first", $seconds, @loads);
	return;
}

sub step_package_first
{
	print "Back: the package of $old, then the version in SQL\n";
	my @loads = start_load();
	my $decision = time();
	install($old, '');
	let_load_go_on();
	check_library($old);
	check_sql($new);
	update_everywhere($old);
	my $seconds = time() - $decision;
	let_load_go_on();
	check_sql($old);
	finish_step("back to $old, package first", $seconds, @loads);
	return;
}

sub step_ways_back_lost
{
	print "Back: both packages of $old, so that there is no way in SQL\n";
	my @loads = start_load();
	my $decision = time();
	install($old, '', '-downgrades');
	let_load_go_on();
	check_library($old);
	$home->query("ALTER EXTENSION engramk UPDATE TO '$old'");
	check($home->message eq qq(extension "engramk" has no update path from version "$new" to version "$old"),
		'it is refused', $home->sqlstate . ' ' . $home->message);
	check_sql($new);
	install($new, '-downgrades');
	update_everywhere($old);
	my $seconds = time() - $decision;
	let_load_go_on();
	check_sql($old);
	finish_step("back to $old, the ways back put back", $seconds, @loads);
	return;
}

sub prepare
{
	$ENV{DRILL_SCRATCH} = '/tmp';
	$ENV{PATH} = "/usr/lib/postgresql/$major/bin:$ENV{PATH}";
	@ENV{qw(PGHOST PGPORT PGUSER)} = qw(/var/run/postgresql 5432 postgres);
	install($old, '', '-downgrades');
	command('pg_createcluster', $major, 'drill', '--port=5432', '-o', 'fsync=off', '-o', "listen_addresses=''",
		'--', '--auth=trust', '--locale=C.UTF-8');
	command('pg_ctlcluster', $major, 'drill', 'start');
	$monitor = Session->new(database => 'postgres');
	$monitor->run('CREATE DATABASE drill');
	$monitor->run("CREATE ROLE $_ LOGIN") foreach qw(drill_app drill_canary);
	command("gzip -dc '$FindBin::Bin/../data/glove100-10k.tsv.gz' | head -n 2000 |"
		  . " psql -X -q -v ON_ERROR_STOP=1 -d drill -f '$FindBin::Bin/../drill/setup.sql'");
	$home = Session->new(database => 'drill');
	$home->run('CREATE INDEX word_embedding ON word USING engramk (embedding, tenant)');
	$home->close;
	$monitor->run('CREATE DATABASE drill_two TEMPLATE drill');
	$home = Session->new(database => 'drill');
	check_sql($old);
	return;
}

walk(sub {
	prepare();
	my $veteran = Load->new(database => 'drill', scripts => \@kinds, clients => 2, user => 'drill_app',
		application => 'drill_veteran');
	step_forward("to $new");
	step_sql_first();
	step_forward("to $new again");
	step_package_first();
	step_forward("to $new a third time");
	step_ways_back_lost();
	finish_step('sessions that stayed all the time', 0, $veteran);
});

print_table(qw(way seconds queries failed differed));
print failures() == 0
  ? "Every way held: no query failed, no answer differed.\n"
  : "FAILED: @{[ failures() ]} checks.\n";
$home->close if $home;
$monitor->close if $monitor;
system('pg_ctlcluster', $major, 'drill', 'stop', '-m', 'fast');
exit(failures() == 0 ? 0 : 1);
