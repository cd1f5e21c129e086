# What the tests of the index share: vectors, and comparing the index with a
# sequential scan in one statement, so that both see the same rows.
#
# The operators can use the index, the functions that they stand for cannot.
package EngramkIndex;

use strict;
use warnings;

use Exporter 'import';
use File::Basename;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(comparison answers_of);

sub comparison
{
	return slurp_file(dirname(__FILE__) . '/compare.sql');
}

# For a connection that has the functions: '' if the index of a table gives what
# the sequential scan gives, else what is wrong.
sub answers_of
{
	my ($table, $k) = @_;

	return "SELECT string_agg(finding, '; ') FROM generate_series(1, 4) AS n, compare('$table', n * 7, $k) AS finding";
}

1;
