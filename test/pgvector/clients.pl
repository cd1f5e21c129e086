# Many clients insert, update, delete and vacuum; meanwhile and afterwards the index
# gives what a sequential scan gives.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkPgvector;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_pgvector_node('clients', 'synchronous_commit = off');
my $scripts = PostgreSQL::Test::Utils::tempdir();

# So many clients run scripts of pgbench, each as often as it weighs.
sub run_clients
{
	my ($name, $clients, $transactions, %weight_of) = @_;
	my @files;
	my $number = 0;

	foreach my $script (sort keys %weight_of)
	{
		my $file = "$scripts/" . ($number++) . ".sql";

		unlink $file;
		append_to_file($file, $script);
		push @files, '-f', "$file\@$weight_of{$script}";
	}
	$node->command_ok([ 'pgbench', '-n', '-c', $clients, '-j', 2, '-t', $transactions, @files, 'postgres' ], $name);
	return;
}

my $insert = "\\set i random(1, 1000000)\nSELECT add_samples(:i, 3);\n";
my $duplicate = "SELECT add_samples(1, 3);\n";
my $update = "\\set i random(1, 1000000)\nUPDATE item SET v = sample(:i), h = sample(:i + 1)
	WHERE id = (SELECT id FROM item OFFSET :i % 1000 LIMIT 1 FOR UPDATE SKIP LOCKED);\n";
my $note = "\\set i random(1, 1000)\nUPDATE item SET note = :i WHERE id = :i;\n";
my $delete = "\\set i random(1, 1000)
	DELETE FROM item WHERE ctid = ANY (ARRAY(SELECT ctid FROM item OFFSET :i LIMIT 3 FOR UPDATE SKIP LOCKED));\n";
my $roll_back = "BEGIN;\nSELECT add_samples(1, 5);\nDELETE FROM item WHERE id % 100 = :client_id;\nROLLBACK;\n";
# to truncate the table it would wait for queries to let it
my $vacuum = "VACUUM (TRUNCATE false) item;\n";
my $compare = "\\set i random(1, 1000000)\n\\set k random(1, 300)\nSELECT must_be_equal(:i, :k);\n";

run_clients('inserts into empty indexes', 10, 100, $insert => 8, $duplicate => 2);
answers_are_right($node, 'inserts');
run_clients('inserts, updates, deletes, vacuums and queries', 8, 250,
	$insert => 30, $duplicate => 5, $update => 30, $note => 10, $delete => 40, $roll_back => 1,
	$compare => 20, $vacuum => 1);
answers_are_right($node, 'all of them');

$node->safe_psql('postgres', 'DELETE FROM item');
run_clients('queries and vacuums of what is deleted', 5, 40, $compare => 10, $vacuum => 1);
run_clients('inserts into what the vacuums freed', 10, 100, $insert => 8, $duplicate => 2);
answers_are_right($node, 'all again');

$node->stop;
done_testing();
