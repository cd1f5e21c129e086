# A psql session in the background: one connection that lives across steps.
#
# query() waits for the answer; send() and receive() are its two halves, for
# sessions that have to run at the same time.  An error ends the statement, not
# the session: sqlstate() and message() tell about the last one.
package Session;

use strict;
use warnings;

use IPC::Open2;

my $end = 'the end of an answer';

sub new
{
	my ($class, %option) = @_;
	my $self = bless {}, $class;

	local $ENV{PGDATABASE} = $option{database} if defined $option{database};
	local $ENV{PGUSER} = $option{user} if defined $option{user};
	local $ENV{PGAPPNAME} = $option{application} // 'drill';
	$self->{process} = open2($self->{out}, $self->{in},
		'psql -X -q -A -t 2>&1')
	  or die "psql: $!\n";
	$self->{pid} = $self->query('SELECT pg_backend_pid()');
	die "no session: $self->{pid}\n" unless $self->{pid} =~ /^\d+$/;
	return $self;
}

sub send
{
	my ($self, $sql) = @_;
	my $in = $self->{in};

	local $SIG{PIPE} = 'IGNORE';
	print $in "$sql\n;\n\\echo '$end' :SQLSTATE :LAST_ERROR_MESSAGE\n";
	$in->flush;
	return;
}

# What psql printed; the empty statement that send() adds prints nothing.
sub receive
{
	my ($self) = @_;
	my $out = $self->{out};
	my $answer = '';

	while (my $line = <$out>)
	{
		if ($line =~ /^\Q$end\E (\S+) ?(.*)/)
		{
			$self->{sqlstate} = $1;
			$self->{message} = $1 eq '00000' ? '' : $2;
			chomp $answer;
			return $answer;
		}
		$answer .= $line;
	}
	$self->{sqlstate} = '57P01';
	$self->{message} = 'the connection is gone';
	return $answer;
}

sub query
{
	my ($self, $sql) = @_;

	$self->send($sql);
	return $self->receive;
}

# For statements that must not fail.
sub run
{
	my ($self, $sql) = @_;
	my $answer = $self->query($sql);

	die "$sql\n$answer\n" if $self->sqlstate ne '00000';
	return $answer;
}

sub sqlstate { return $_[0]{sqlstate}; }
sub message { return $_[0]{message}; }
sub pid { return $_[0]{pid}; }

sub close
{
	my ($self) = @_;

	return unless $self->{process};
	CORE::close($self->{in});
	CORE::close($self->{out});
	waitpid($self->{process}, 0);
	delete $self->{process};
	return;
}

sub DESTROY
{
	my ($self) = @_;

	local $?;
	$self->close;
	return;
}

1;
