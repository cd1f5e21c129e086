# engram_fan_out asks a server that speaks the protocol up to the answer, and then says
# something that no PostgreSQL says: the front's session goes on, and no row is made up.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Engramk;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Utils;
use Servers;
use Test::More;

my ($front) = start_servers(0);
plan skip_all => 'dblink and postgres_fdw are not installed' if !$front;

# The protocol

sub message { return $_[0] . pack('N', 4 + length $_[1]) . $_[1]; }
sub fields { return join('', map { "$_\0" } @_) . "\0"; }
sub row { return message('D', pack('n', scalar @_) . join('', map { defined $_ ? pack('N', length $_) . $_ : pack('N', 0xFFFFFFFF) } @_)); }

my $ready = message('Z', 'I');
my $greeting = message('R', pack('N', 0)) . message('S', "client_encoding\0UTF8\0") . message('S', "server_version\0" . "15.0\0") . $ready;
my $bound = message('1', '') . message('2', '');
my $set_up = ($bound . message('n', '') . message('C', "SET\0")) x 3 . $ready;
my $columns = message('T', pack('n', 2) . join('', map { "$_\0" . pack('NnNnNn', 0, 0, 25, 65535, 0xFFFFFFFF, 0) } 'id', 'distance'));
my $begin = $bound . $columns;
my $end = message('C', "SELECT 2\0") . $ready;
my $right = $begin . row('7', '0.5') . row('8', '0.25') . $end;

# Gives this answer to the statement of every connection, in one piece or in pieces of so many
# bytes, and then waits, or closes the connection.  Returns its process and its port.
sub fake_server
{
	my ($answer, %option) = @_;
	my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', Proto => 'tcp') or die "listen: $!";
	my $pid = fork // die "fork: $!";

	return ($pid, $listener->sockport) if $pid;
	@SIG{qw(TERM PIPE)} = ('DEFAULT', 'IGNORE');
	while (my $client = $listener->accept)
	{
		serve($client, $answer, %option);
		close $client;
	}
	POSIX::_exit(0);
}

# What a client says is told apart by the last of its messages: Sync, once for what it sets
# up and once for the statement.
sub serve
{
	my ($client, $answer, %option) = @_;
	my $said = '';

	$client->sysread($said, 65536) or return;
	$client->syswrite($greeting);
	$said = '';
	while ($said !~ /(?:S\0{3}\x04.*){2}/s)
	{
		$client->sysread($said, 65536, length $said) or return;
	}
	$client->syswrite($set_up);
	foreach my $part ($option{piece} ? unpack("(a$option{piece})*", $answer) : $answer)
	{
		$client->syswrite($part) or return;
	}
	$client->sysread($said, 1) unless $option{close};
	return;
}

# The rows of a front that asks such a server, or the error
sub ask
{
	my ($answer, %option) = @_;
	my ($pid, $port) = fake_server($answer, %option);

	in_front($front, "CREATE SERVER fake FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '$port', sslmode 'disable', gssencmode 'disable');
		CREATE USER MAPPING FOR CURRENT_USER SERVER fake");
	my (undef, $out, $err) = query_as($front, 'postgres', '',
		"SET statement_timeout = '" . ($option{timeout} // '1min') . "'; SELECT string_agg(concat(id, ' ', distance), ', ') || coalesce(max(error), '') FROM engram_fan_out('{fake}', 'SELECT 1, 1', '{}', 5, true)");

	in_front($front, 'DROP SERVER fake CASCADE');
	kill 'TERM', $pid;
	waitpid $pid, 0;
	return $err eq '' ? $out : $err;
}

is(ask($right), '8 0.25, 7 0.5', 'an answer');
is(ask($right, piece => 1), '8 0.25, 7 0.5', 'byte by byte');
is(ask($begin . message('N', fields('SNOTICE', 'VNOTICE', 'C00000', 'Ma remark')) x 100000 . row('7', '1') . $end), '7 1', 'a hundred thousand remarks');
my $remarks = () = slurp_file($front->logfile) =~ /message of a foreign server: NOTICE: a remark/g;
is($remarks, '10', 'of which ten are in the log');

my %answers = (
	'an end without an answer' => [ $bound . $end, qr/the server gave no result/ ],
	'nothing but an end' => [ $ready, qr/the server gave no result/ ],
	'a FATAL without words' => [ message('E', fields('SFATAL', 'VFATAL', 'C57P01')), qr/the server said no more/ ],
	'a FATAL in no encoding' => [ message('E', fields('SFATAL', 'VFATAL', 'C57P01', "M\xE4\xF6 gone")), qr/\?\? gone/ ],
	'an ERROR without words' => [ message('E', fields('SERROR', 'VERROR', 'C22012')), qr/22012: the server said no more.*server "fake"/s ],
	'an ERROR without a code' => [ message('E', fields('Mno code')), qr/no code/ ],
	'rows without columns' => [ $bound . row('7', '1') . $end, qr/without prior row description|the server gave no result/ ],
	'other columns than it said' => [ $begin . row('7') . $end, qr/unexpected field count|insufficient data/ ],
	'a row that is shorter than it says' => [ $begin . message('D', pack('nN', 2, 1000) . '7') . $end, qr/insufficient data/ ],
	'rows that are copied' => [ $bound . message('H', pack('Cnnn', 0, 2, 0, 0)) . $end, qr/./ ],
	'what is no number' => [ $begin . row('seven', '1') . $end, qr/22P02: invalid input syntax for type bigint.*server "fake"/s ],
	'garbage' => [ join('', map { chr($_ * 37 % 256) } 1 .. 5000), qr/./ ],
	'a message of two gigabytes' => [ $begin . 'D' . pack('N', 0x7FFFFFF0) . 'x' x 100000, qr/out of memory|cannot allocate memory|lost|57014/, timeout => '1s' ],
	'a message of negative length' => [ $begin . 'D' . pack('N', 0x80000000) . 'x' x 100, qr/lost synchronization|out of memory/ ],
	'an answer without end' => [ $begin . row('7', '1'), qr/57014: canceling statement due to statement timeout/, timeout => '1s' ]);
foreach my $name (sort keys %answers)
{
	my ($answer, $pattern, %option) = @{ $answers{$name} };

	like(ask($answer, %option), $pattern, $name);
}

# Cut anywhere, there are all rows or none
my %outcomes;
$outcomes{ ask(substr($right, 0, $_ * 5), close => 1) }++ foreach 0 .. (length($right) - 1) / 5;
is(join(' | ', grep { !/^ server closed the connection unexpectedly/ } keys %outcomes), '', 'cut anywhere in its answer: no row');

unlike(slurp_file($front->logfile), qr/was terminated by signal/, 'no session of the front has crashed');
done_testing();
