# A document in Markdown: its blocks of code, each with its line, its language and
# the directives before it.
#
# A directive is a comment on a line of its own, before the block that it is about:
#
#	<!-- in: DATABASE -->		where it runs; default shop
#	<!-- as: ROLE -->		default is the superuser
#	<!-- output: varies -->		what follows as its output is an example
#	<!-- scans: INDEX -->		the block must be answered by this engramk index
#	<!-- not run: REASON -->
#
# and, once, about the document:
#
#	<!-- prepared by: FILE -->	the file of this directory that makes what the
#					document speaks of; default shop.sql
#	<!-- prepared by: nothing -->	it makes everything itself
#	<!-- requires: EXTENSION -->	it is skipped where the server does not have it
#
# What runs is sql and sh, and with test/clients the languages of its drivers.  A
# block without a language is what the sql block before it prints.
package Document;
use strict;
use warnings;

our %runs = map { $_ => 1 } qw(sql sh);
our %runs_with_clients = map { $_ => 1 } qw(python js java ruby);
our %never_runs = map { $_ => 1 } qw(text mermaid ini yaml json c xml);

sub new
{
	my ($class, $file) = @_;
	my $self = bless { file => $file, blocks => [], prepared => 'shop.sql', lines => [] }, $class;

	open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
	$self->{lines} = [ map { s/\R\z//r } <$in> ];
	close $in;
	$self->_parse();
	return $self;
}

sub blocks { return @{ $_[0]{blocks} }; }

sub _parse
{
	my ($self) = @_;
	my ($inside, %directive);
	my $number = 0;

	foreach my $line (@{ $self->{lines} })
	{
		$number++;
		if ($inside)
		{
			if ($line =~ /^\s*```\s*$/)
			{
				$inside = undef;
				next;
			}
			$inside->{text} .= $line =~ s/^$inside->{indent}//r . "\n";
		}
		elsif ($line =~ /^(\s*)```\s*(\S*)\s*$/)
		{
			$inside = { line => $number, indent => $1, language => $2, text => '', previous => $self->{blocks}[-1], %directive };
			$inside->{adjacent} = !%directive && $self->_only_blanks_since_block($number);
			%directive = ();
			push @{ $self->{blocks} }, $inside;
		}
		elsif ($line =~ /^\s*<!-- (in|as|output|scans|not run|prepared by|requires): (.+) -->\s*$/)
		{
			$1 eq 'prepared by' ? ($self->{prepared} = $2)
			  : $1 eq 'requires' ? ($self->{requires} = $2)
			  : ($directive{$1} = $2);
		}
		elsif ($line =~ /^\s*<!--/)
		{
			die "$self->{file}:$number: this is no directive: $line\n";
		}
		elsif ($line =~ /\S/)
		{
			die "$self->{file}:$number: a directive stands before text and not before a block\n" if %directive;
		}
	}
	die "$self->{file}: the block of line $inside->{line} is not closed\n" if $inside;
	return;
}

# Is there nothing between the block before and this line?
sub _only_blanks_since_block
{
	my ($self, $number) = @_;

	for (my $i = $number - 2; $i >= 0; $i--)
	{
		next if $self->{lines}[$i] !~ /\S/;
		return $self->{lines}[$i] =~ /^\s*```\s*$/;
	}
	return 0;
}

# The output that a block of SQL must end with, or undef.
sub expected_output
{
	my ($self, $block) = @_;
	my ($next) = grep { $_->{previous} && $_->{previous} == $block } $self->blocks();

	return unless $next && $next->{language} eq '' && !exists $block->{output};
	return $next->{text};
}

1;
