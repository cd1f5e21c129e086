# Pages that say what is not true under a checksum that is right: a scan gives
# the right rows or the error that the index is corrupted, loses nothing but rows
# of the forged page, never crashes, hangs or makes the table longer; and
# engram_index_check finds every lie.
#
# FORGED_INDEXES says how many indexes are forged at random, beside the named
# forgeries.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use PostgreSQL::Test::Utils;
use Test::More;

my $random = $ENV{FORGED_INDEXES} // 100;
my $seed = $ENV{FORGE_SEED} // int(rand(1_000_000));
srand($seed);

use constant {
	PAGE => 8192,
	CONTENTS => 24,
	SPECIAL => 8176,
	LANES => 16,
	STRETCH => 16,
	CODES => 64,
	META => 1,
	NULLS => 2,
	BASIS => 3,
	COARSE => 4,
	FINE => 5
};

# Where things are, as src/index/index.h and page.c have it: place and size.  In
# the fields of an entry, place is what field() makes of it.
my %meta = (magic => [ 0, 4 ], format => [ 4, 4 ], dims => [ 8, 4 ],
	coarse_dims => [ 12, 1 ], steps4 => [ 13, 1 ], steps2 => [ 14, 1 ], basis_id => [ 15, 1 ],
	null_pages => [ 16, 4 ], basis_pages => [ 20, 4 ], first_block => [ 24, 4 ], entries => [ 28, 4 ],
	free_entries => [ 32, 4 ], free_hint => [ 36, 4 ], sampled => [ 40, 4 ]);
my %group = (norm => [ 0, 8 ], scale => [ 128, 4 ], residual => [ 192, 4 ], tail => [ 256, 4 ], tid => [ 320, 6 ], state => [ 416, 1 ]);
my $group_header = 432;
my %row = (norm => [ 0, 8 ], tid => [ 8, 6 ], state => [ 14, 1 ]);
my %fine = (fine_scale => [ 0, 4 ], fine_residual => [ 4, 4 ], fine_codes => [ 8, 40 ]);
my %coordinate = (mean => [ 0, 4 ], step => [ 4, 4 ], weight => [ 8, 4 ], bits => [ 12, 4 ]);

sub read_pages
{
	my $file = slurp_file($_[0]);

	return map { substr($file, $_ * PAGE, PAGE) } 0 .. length($file) / PAGE - 1;
}

sub kind_of
{
	return unpack('v', substr($_[0], SPECIAL, 2));
}

sub meta_field
{
	my ($page, $field) = @_;
	my ($at, $size) = @{ $meta{$field} };

	return unpack($size == 1 ? 'C' : 'V', substr($page, CONTENTS + $at, $size));
}

sub divide_up
{
	my ($n, $by) = @_;

	return int(($n + $by - 1) / $by);
}

# What follows from the metapage
sub layout
{
	my ($page) = @_;
	my %m = map { $_ => meta_field($page, $_) } keys %meta;
	my $usable = SPECIAL - CONTENTS;

	if ($m{format} == 1)
	{
		$m{group_size} = $group_header + LANES * $m{coarse_dims};
		$m{fine_size} = ($m{dims} + 8 + 3) & ~3;
		$m{groups_per_page} = int($usable / $m{group_size});
	}
	else
	{
		$m{group_size} = 64 * ($m{steps4} + $m{steps2});
		$m{fine_size} = ($m{dims} + 16 + 8 + 7) & ~7;
		$m{groups_per_page} = int((SPECIAL - CODES) / ($m{group_size} + LANES * (2 + 4)));
	}
	$m{coarse_per_page} = $m{groups_per_page} * LANES;
	$m{fine_per_page} = int($usable / $m{fine_size});
	$m{fine_pages} = divide_up($m{coarse_per_page} * ($m{format} == 1 ? STRETCH : 1), $m{fine_per_page});
	return \%m;
}

# Blocks and places of an entry.  No index here goes beyond the first four
# stretches of format 2, which have four coarse pages each.
sub place_of
{
	my ($m, $entry) = @_;
	my $stretch = $m->{format} == 1 ? STRETCH : 4;
	my $page = int($entry / $m->{coarse_per_page});
	my $on_page = $entry % $m->{coarse_per_page};
	my $number = int($page / $stretch);
	my $within = $m->{format} == 1 ? $entry % ($stretch * $m->{coarse_per_page}) : $on_page;
	my $begin = $m->{first_block} + $number * ($stretch + $m->{fine_pages} * ($m->{format} == 1 ? 1 : $stretch));
	my $fine = $begin + $stretch + int($within / $m->{fine_per_page}) + ($m->{format} == 1 ? 0 : $page % $stretch * $m->{fine_pages});

	return {
		coarse_block => $begin + $page % $stretch,
		on_page => $on_page,
		lane => $on_page % LANES,
		group => ($m->{format} == 1 ? CONTENTS : CODES) + int($on_page / LANES) * $m->{group_size},
		fine_block => $fine,
		fine => CONTENTS + $within % $m->{fine_per_page} * $m->{fine_size}
	};
}

# Where a field of an entry is: block, place and size
sub field
{
	my ($m, $entry, $name) = @_;
	my $place = place_of($m, $entry);
	my $residuals = CODES + $m->{groups_per_page} * $m->{group_size};

	if (my $f = $fine{$name})
	{
		return ($place->{fine_block}, $place->{fine} + ($m->{format} == 1 ? 0 : 16) + $f->[0], $f->[1]);
	}
	if ($m->{format} == 1)
	{
		my ($at, $size) = @{ $group{$name} };

		return ($place->{coarse_block}, $place->{group} + $at + $size * $place->{lane}, $size);
	}
	return ($place->{fine_block}, $place->{fine} + $row{$name}[0], $row{$name}[1]) if $row{$name};
	return ($place->{coarse_block}, $residuals + 2 * $place->{on_page}, 2) if $name eq 'residual';
	return ($place->{coarse_block}, $residuals + 2 * $m->{coarse_per_page} + 4 * $place->{on_page}, 4) if $name eq 'coarse_norm';
	die $name;
}

sub tid
{
	my ($block, $offset) = @_;

	return pack('vvv', $block >> 16, $block & 0xFFFF, $offset);
}

# Forgeries.  Each is what is forged, and a function that is given the pages, the
# layout and an entry, changes a page and returns its number.  One that begins
# with "true:" is no lie: the check need not mind.

my %float = (nan => pack('f<', 'nan'), infinity => pack('f<', 9**9**9), minus_infinity => pack('f<', -9**9**9), minus_one => pack('f<', -1), nothing => pack('f<', 0));
# of bfloat16, which are the upper halves
my %half = map { $_ => substr($float{$_}, 2) } keys %float;
$half{minus_infinity} = pack('v', 0xFF80);
delete $half{infinity};	# which is never too small
my %double = (nan => pack('d<', 'nan'), infinity => pack('d<', 9**9**9), minus_infinity => pack('d<', -9**9**9), minus_one => pack('d<', -1), huge => pack('d<', 1e300),
	nothing => pack('d<', 0));

# A field of one entry, or of those of its group that have it on the same page;
# bytes, or what becomes of them
sub of_entry
{
	my ($name, $new) = @_;

	return sub {
		my ($pages, $m, $entry) = @_;
		my ($block, $at, $size) = field($m, $entry, $name);
		my $bytes = ref $new ? $new->(substr($pages->[$block], $at, $size)) : $new;

		substr($pages->[$block], $at, length($bytes)) = $bytes;
		return $block;
	};
}

sub of_group
{
	my ($name, $new) = @_;

	return sub {
		my ($pages, $m, $entry) = @_;
		my $first = $entry - place_of($m, $entry)->{lane};
		my ($block) = field($m, $entry, $name);

		foreach my $other ($first .. $first + LANES - 1)
		{
			of_entry($name, $new)->($pages, $m, $other) if (field($m, $other, $name))[0] == $block;
		}
		return $block;
	};
}

# The coarse code of one entry; format 2
sub of_code
{
	my ($change) = @_;

	return sub {
		my ($pages, $m, $entry) = @_;
		my $place = place_of($m, $entry);

		foreach my $step (0 .. $m->{steps4} + $m->{steps2} - 1)
		{
			my $at = $place->{group} + 64 * $step + 4 * $place->{lane};

			substr($pages->[ $place->{coarse_block} ], $at, 4) = $change->(substr($pages->[ $place->{coarse_block} ], $at, 4));
		}
		return $place->{coarse_block};
	};
}

sub of_meta
{
	my ($name, $value) = @_;

	return sub {
		my ($pages) = @_;
		my ($at, $size) = @{ $meta{$name} };
		my $new = ref $value ? $value->(meta_field($pages->[0], $name)) : $value;

		substr($pages->[0], CONTENTS + $at, $size) = $size == 1 ? chr($new & 0xFF) : pack('V', $new & 0xFFFFFFFF);
		return 0;
	};
}

# One forgery after another, of the same page
sub both
{
	my ($one, $other) = @_;

	return sub { $one->(@_); return $other->(@_) };
}

# The first page of a kind
sub of_kind
{
	my ($kind, $at, $bytes) = @_;

	return sub {
		my ($pages) = @_;
		my ($block) = grep { kind_of($pages->[$_]) == $kind } 0 .. $#$pages;

		substr($pages->[$block], $at, length($bytes)) = $bytes;
		return $block;
	};
}

# What a coordinate is made of, before the rows of the basis; format 2
sub of_coordinate
{
	my ($i, $name, $new) = @_;
	my ($at, $size) = @{ $coordinate{$name} };

	return sub {
		my ($pages) = @_;
		my ($block) = grep { kind_of($pages->[$_]) == BASIS } 0 .. $#$pages;
		my $place = CONTENTS + 8 + 16 * $i + $at;

		substr($pages->[$block], $place, $size) = ref $new ? $new->(substr($pages->[$block], $place, $size)) : $new;
		return $block;
	};
}

# Rows of the basis
sub of_rows
{
	my ($at, $bytes) = @_;

	return sub {
		my ($pages, $m) = @_;
		my $before = $m->{format} == 1 ? 0 : 8 + 16 * $m->{coarse_dims};

		return of_kind(BASIS, CONTENTS + $before + $at, $bytes)->(@_);
	};
}

my $increased = sub { $_[0] + 1 };
my $decreased = sub { $_[0] - 1 };
my $times = sub { my ($factor) = @_; sub { pack('f<', $factor * unpack('f<', $_[0])) } };
my @named = (
	[ 'a pointer to no block', of_entry(tid => tid(0xFFFFFFFF, 1)) ],
	[ 'a pointer to the last block there could be', of_entry(tid => tid(0xFFFFFFFE, 1)) ],
	[ 'a pointer beyond the table', of_entry(tid => tid(1000, 1)) ],
	[ 'a pointer far beyond the table', of_entry(tid => tid(0x30000000, 1)) ],
	[ 'a pointer without an offset', of_entry(tid => tid(0, 0)) ],
	[ 'a pointer with an offset that no page has', of_entry(tid => tid(0, 0xFFFF)) ],
	[ 'a pointer beyond a page', of_entry(tid => tid(0, 2000)) ],
	[ 'a pointer to another row', of_entry(tid => tid(0, 3)) ],
	[ 'pointers to no block', of_group(tid => tid(0xFFFFFFFF, 1)) ],
	(map { [ "norm $_", of_entry(norm => $double{$_}) ], [ "norms $_", of_group(norm => $double{$_}) ] } sort keys %double),
	(map { [ "state $_", of_entry(state => chr($_)) ] } 0, 2, 3, 4, 255),
	(map { [ "fine scale $_", of_entry(fine_scale => $float{$_}) ], [ "fine residual $_", of_entry(fine_residual => $float{$_}) ] } sort keys %float),
	[ 'a fine code that is out of range', of_entry(fine_codes => chr(128)) ],
	[ 'another fine code', of_entry(fine_codes => chr(127) x 40) ],
	(map { [ "$_ increased", of_meta($_ => $increased) ] } qw(format dims coarse_dims steps4 steps2 basis_id null_pages basis_pages first_block)),
	(map { [ "$_ decreased", of_meta($_ => $decreased) ] } qw(format dims coarse_dims steps4 steps2 basis_id basis_pages first_block entries)),
	(map { [ "$_ 0", of_meta($_ => 0) ] } qw(magic format dims coarse_dims basis_pages first_block entries)),
	(map { [ "$_ as large as can be", of_meta($_ => 0xFFFFFFFF) ] }
		qw(magic format dims coarse_dims steps4 steps2 basis_id null_pages basis_pages first_block entries free_entries free_hint)),
	(map { [ "$_ 0x80000000", of_meta($_ => 0x80000000) ] } qw(dims null_pages basis_pages first_block entries free_entries free_hint)),
	[ 'coarse_dims four more', of_meta(coarse_dims => sub { $_[0] + 4 }) ],
	[ 'coarse_dims four less', of_meta(coarse_dims => sub { $_[0] - 4 }) ],
	[ 'entries half', of_meta(entries => sub { int($_[0] / 2) }) ],
	[ 'true: free entries that are none', of_meta(free_entries => 5) ],
	[ 'a basis with NaN', of_rows(40, $float{nan}) ],
	[ 'a basis with infinity', of_rows(40, $float{infinity}) ],
	[ 'a basis that stretches', of_rows(0, pack('f<', 0.9) x 400) ],
	[ 'another basis', of_rows(0, pack('f<', 0.01) x 400) ],
	[ 'a coarse page that covers nothing', of_kind(COARSE, 12, pack('v', CONTENTS)) ],
	[ 'a fine page that covers nothing', of_kind(FINE, 12, pack('v', CONTENTS)) ],
	[ 'a coarse page that covers all', of_kind(COARSE, 12, pack('v', SPECIAL)) ],
	[ 'a metapage that ends elsewhere', of_kind(META, 14, pack('v', 4096)) ],
	[ 'a coarse page that ends elsewhere', of_kind(COARSE, 14, pack('v', SPECIAL - 8)) ],
	[ 'a metapage that covers nothing', of_kind(META, 12, pack('v', CONTENTS)) ],
	[ 'a fine page as a coarse one', of_kind(COARSE, SPECIAL, pack('v', FINE)) ]);
my @named_1 = (
	(map { [ "scale $_", of_entry(scale => $float{$_}) ], [ "scales $_", of_group(scale => $float{$_}) ] } sort keys %float),
	(map { [ "residual $_", of_entry(residual => $float{$_}) ], [ "residuals $_", of_group(residual => $float{$_}) ] } sort keys %float),
	(map { [ "tail $_", of_entry(tail => $float{$_}) ], [ "tails $_", of_group(tail => $float{$_}) ] } sort keys %float),
	[ 'true: a residual that is larger than it need be', of_entry(residual => pack('f<', 0.9)) ],
	[ 'steps in a format without', of_meta(steps4 => 1) ],
	[ 'a basis with a number in a format without', of_meta(basis_id => 1) ]);
my @named_2 = (
	(map { [ "residual $_", of_entry(residual => $half{$_}) ], [ "residuals $_", of_group(residual => $half{$_}) ] } sort keys %half),
	[ 'a residual that is half of what it should be', of_entry(residual => sub { pack('v', unpack('v', $_[0]) - 0x80) }) ],
	[ 'true: a residual that is larger than it need be', of_entry(residual => pack('v', 0x4380)) ],
	[ 'true: residuals of infinity', of_group(residual => pack('v', 0x7F80)) ],
	(map { [ "coarse norm $_", of_entry(coarse_norm => $float{$_}) ], [ "coarse norms $_", of_group(coarse_norm => $float{$_}) ] } sort keys %float),
	[ 'a coarse norm that is a little off', of_entry(coarse_norm => sub { pack('V', unpack('V', $_[0]) + 1) }) ],
	[ 'a coarse code turned round', of_code(sub { $_[0] ^ ("\xFF" x 4) }) ],
	[ 'a coarse code of zeros', of_code(sub { "\0" x 4 }) ],
	[ 'a coarse code of ones', of_code(sub { "\xFF" x 4 }) ],
	(map { my $n = $_; [ "a coarse page of basis $n", of_kind(COARSE, SPECIAL + 4, pack('V', $n)) ] } 0, 2, 0xFFFFFFFF),
	[ 'a step of 4 bits for one of 2', both(of_meta(steps4 => $decreased), of_meta(steps2 => $increased)) ],
	[ 'a step of 2 bits for one of 4', both(of_meta(steps4 => $increased), of_meta(steps2 => $decreased)) ],
	(map { my $n = $_; [ "true: $n survivors", of_kind(BASIS, CONTENTS, pack('V', $n)) ] } 0, 0x80000000, 0xFFFFFFFF),
	(map { my $n = $_; [ "a coordinate of $n bits", of_coordinate(1, bits => pack('V', $n)) ] } 0, 1, 3, 16, 33, 0xFFFFFFFF),
	[ 'a coordinate of more bits than before', of_coordinate(0, bits => sub { pack('V', unpack('V', $_[0]) == 8 ? 6 : 8) }) ],
	[ 'a coordinate of fewer bits than before', of_coordinate(0, bits => sub { pack('V', unpack('V', $_[0]) == 2 ? 4 : 2) }) ],
	(map { my $n = $_; [ "$n of NaN", of_coordinate(0, $n => $float{nan}) ], [ "$n of infinity", of_coordinate(2, $n => $float{infinity}) ] } qw(mean step weight)),
	(map { my $n = $_; [ "$n of minus one", of_coordinate(0, $n => $float{minus_one}) ] } qw(step weight)),
	(map { my $n = $_; [ "$n of nothing", of_coordinate(0, $n => $float{nothing}) ] } qw(step weight)),
	(map { my $n = $_; [ "$n huge", of_coordinate(0, $n => pack('f<', 1e38)) ] } qw(mean step weight)),
	(map { my $n = $_; [ "$n tiny", of_coordinate(0, $n => pack('f<', 1e-44)) ] } qw(step weight)),
	[ 'a step that is doubled', of_coordinate(0, step => $times->(2)) ],
	[ 'a weight that is half', of_coordinate(0, weight => $times->(0.5)) ],
	[ 'a weight just too large', of_coordinate(0, weight => pack('f<', 1.0001)) ],
	[ 'true: the largest weight', of_coordinate(0, weight => pack('f<', 1)) ]);
my @named_early = (
	[ 'an early NULL that points to no block', of_kind(NULLS, CONTENTS + 12, tid(0xFFFFFFFF, 1)) ],
	[ 'an early NULL that points beyond the table', of_kind(NULLS, CONTENTS + 12, tid(1000, 1)) ],
	[ 'an early NULL that points to another row', of_kind(NULLS, CONTENTS + 12, tid(0, 1)) ],
	[ 'an early NULL that is gone', of_kind(NULLS, CONTENTS + 12, tid(0xFFFFFFFF, 0)) ],
	[ 'an early NULL that was never there', of_kind(NULLS, CONTENTS + 12, tid(0, 0)) ],
	(map { [ "a count of $_ early NULLs", of_kind(NULLS, SPECIAL + 4, pack('V', $_)) ] } 0, 1, 499, 501, 1358, 1359, 0x7FFFFFFF, 0xFFFFFFFF),
	[ 'null_pages 0', of_meta(null_pages => 0) ],
	[ 'another format, without a basis', of_meta(format => sub { 3 - $_[0] }) ],
	[ 'steps without a basis', of_meta(steps2 => 1) ],
	[ 'a number of no basis', of_meta(basis_id => 1) ],
	[ 'a norm of NaN', of_entry(norm => $double{nan}) ],
	[ 'a fine residual of NaN', of_entry(fine_residual => $float{nan}) ],
	[ 'a fine residual of nothing', of_entry(fine_residual => $float{nothing}) ],
	[ 'a pointer to no block, without a basis', of_entry(tid => tid(0xFFFFFFFF, 1)) ]);

sub at_random
{
	my ($pages) = @_;
	my $block = rand() < 0.2 ? 0 : int(rand(@$pages));
	my $lower = unpack('v', substr($pages->[$block], 12, 2));

	foreach my $change (1 .. 1 + int(rand(6)))
	{
		my $bytes = (pack('d<', 'nan'), pack('f<', 'nan'), chr(255) x 4, chr(0) x 4, pack('f<', 9**9**9), map { chr(int(rand(256))) } 1 .. 4)[ rand(9) ];
		my $at = CONTENTS + int(rand($lower - CONTENTS - length($bytes)));

		substr($pages->[$block], $at, length($bytes)) = $bytes;
	}
	return $block;
}

my $node = start_index_node('forge',
	"restart_after_crash = on\nautovacuum = off\nstatement_timeout = '60s'\njit = off\nfsync = off",
	without_checksums => 1);
$node->safe_psql('postgres', q{
	-- What a statement gives, or its error
	CREATE FUNCTION attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		result text;
	BEGIN
		EXECUTE statement INTO result;
		RETURN coalesce(result, 'null');
	EXCEPTION WHEN OTHERS THEN
		RETURN 'error ' || SQLSTATE || ' ' || SQLERRM;
	END $$;

	-- How many rows the index leaves out that it should give, those excused aside
	CREATE FUNCTION lost(source regclass, query integer, k integer, excused integer[]) RETURNS text LANGUAGE plpgsql
	SET enable_seqscan = off SET enable_sort = off AS $$
	DECLARE
		q real[] := sample_vector(query);
		metric record;
		ids integer[];
		farthest float8;
		missing integer;
	BEGIN
		FOR metric IN SELECT * FROM (VALUES ('<=>', 'engram_cosine_distance'), ('<#>', 'engram_negative_inner_product'),
			('<->', 'engram_l2_distance')) AS m(operator, function)
		LOOP
			EXECUTE format('SELECT array_agg(id), CASE WHEN count(*) = count(d) THEN max(d) END FROM (SELECT id, v %2$s $1 AS d FROM %1$s ORDER BY v %2$s $1 LIMIT $2) AS x',
				source, metric.operator) INTO ids, farthest USING q, k;
			EXECUTE format('SELECT count(*) FROM %s WHERE (%s(v, $1) < $2 OR $2 IS NULL OR $3) AND id <> ALL ($4) AND id <> ALL ($5)', source, metric.function)
				INTO missing USING q, farthest, coalesce(cardinality(ids), 0) < k, coalesce(ids, '{}'), excused;
			IF missing > 0 THEN
				RETURN format('%s: %s rows lost', metric.operator, missing);
			END IF;
		END LOOP;
		RETURN 'right';
	END $$;

	CREATE TABLE stock AS SELECT i AS id, sample_vector(i) AS v FROM generate_series(1, 1100) AS i;
});

# Tables of 1,100 rows, of which entry n is row n + 1; and of 500 rows that are
# NULL and came before 300 vectors, so that entry n is row n + 501.
my $format = $node->safe_psql('postgres', q{SELECT extversion < '1.5' FROM pg_extension WHERE extname = 'engramk'}) eq 't' ? 1 : 2;
my @jobs = (
	(map { { name => $_->[0], forge => $_->[1] } } @named, $format == 1 ? @named_1 : @named_2),
	(map { { name => $_->[0], forge => $_->[1], early => 1 } } @named_early),
	(map { { name => "random $_", forge => \&at_random, early => $_ % 4 == 0, random => 1 } } 1 .. $random));
my @statements;
foreach my $n (0 .. $#jobs)
{
	push @statements, $jobs[$n]{early}
	  ? "CREATE TABLE t$n (id integer, v real[]); CREATE INDEX t${n}_v ON t$n USING engramk (v);
		INSERT INTO t$n SELECT id, NULL FROM stock WHERE id <= 500; INSERT INTO t$n SELECT 500 + id, v FROM stock WHERE id <= 300;"
	  : "CREATE TABLE t$n AS SELECT * FROM stock ORDER BY id; CREATE INDEX t${n}_v ON t$n USING engramk (v);";
}
$node->safe_psql('postgres', join("\n", @statements));
my %file = map { split /\|/ } split /\n/, $node->safe_psql('postgres', q{SELECT relname, pg_relation_filepath(oid) FROM pg_class WHERE relname LIKE 't%\_v'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname LIKE 't%\_v' AND engram_index_check(oid) >= 300}),
	scalar(@jobs), 'the indexes are right before');
$node->stop;

foreach my $n (0 .. $#jobs)
{
	my $job = $jobs[$n];
	my $path = $node->data_dir . '/' . $file{"t${n}_v"};
	my @pages = read_pages($path);
	my $m = layout($pages[0]);
	$m->{format} == $format or die "not of format $format";
	my $block = $job->{forge}->(\@pages, $m, 7 + int(rand(60)));
	my $kind = kind_of($pages[$block]);

	seal(\$pages[$block]);
	overwrite($path, $block * PAGE, $pages[$block]);

	# what the page is about
	my @entries = grep { $kind == COARSE ? place_of($m, $_)->{coarse_block} == $block : $kind == FINE ? place_of($m, $_)->{fine_block} == $block : 1 } 0 .. $m->{entries} - 1;
	$job->{excused} = [ map { $_ + ($job->{early} ? 501 : 1) } @entries ];
	$job->{excused} = [ 1 .. 1100 ] if $kind < COARSE;
	$job->{where} = "block $block, of kind $kind";
}
$node->start;

my %outcomes;
my @bad;
my $sizes = join(' + ', map { "pg_relation_size('t$_')" } 0 .. $#jobs);

foreach my $n (0 .. $#jobs)
{
	my $job = $jobs[$n];
	my $excused = "'{" . join(',', @{ $job->{excused} }) . "}'";
	my %tries = (
		'1 nearest' => "SELECT lost('t$n', 17, 20, $excused)",
		'2 all' => "SELECT lost('t$n', 23, 100000, $excused)",
		'3 small budget' => "SELECT set_config('engramk.arena_size', '64kB', true) IS NULL, lost('t$n', 31, 100000, $excused)",
		'4 zero query' => "SELECT count(*) >= 0 FROM (SELECT id FROM t$n ORDER BY v <-> sample_vector(89)) AS x",
		'5 listed' => "SELECT count(*) >= 0 FROM (SELECT id FROM t$n ORDER BY v <=> NULL) AS x",
		'6 check' => "SELECT engram_index_check('t${n}_v')",
		'7 info' => "SELECT dimensions FROM engram_index_info('t${n}_v')",
		'8 insert' => "INSERT INTO t$n SELECT 10000 + i, sample_vector(i) FROM generate_series(10001, 10100) AS i RETURNING true");
	my $sql = join(";\n", 'SET enable_seqscan = off',
		"SELECT 'size', pg_relation_size('t$n')",
		(map { my $name = $_; "SELECT '$name', attempt(\$sql\$$tries{$name}\$sql\$)" } sort grep { !/^8/ } keys %tries),
		"SELECT 'size', pg_relation_size('t$n')",
		"SELECT '8 insert', attempt(\$sql\$$tries{'8 insert'}\$sql\$)",
		"DELETE FROM t$n WHERE id % 3 = 0",
		"VACUUM t$n",
		"SELECT '9 afterwards', attempt(\$sql\$SELECT lost('t$n', 23, 100000, $excused)\$sql\$)");
	my ($out, $err);
	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err, on_error_stop => 0, timeout => 300);

	my @sizes = $out =~ /^size\|(\d+)$/mg;
	my %got = map { /^(\d [a-z ]+)\|(.*)$/ ? ($1 => $2) : () } split /\n/, $out;
	my $told = sub { push @bad, "$job->{name} ($job->{where}): $_[0]" };
	my $lied = 0;

	if (!defined $got{'9 afterwards'})
	{
		$told->("gone: $err");
		$node->poll_query_until('postgres', 'SELECT true') or BAIL_OUT('the server is gone');
	}
	$told->("the table has grown") if @sizes == 2 && $sizes[0] != $sizes[1];
	foreach my $name (sort keys %got)
	{
		my $result = $got{$name};
		my $outcome = $result =~ /^error XX002/ ? 'corrupted'
		  : $result =~ /^error XX000 index returned tuples in wrong order/ ? 'wrong order'
		  : $result =~ /^error (?:0A000 index .* has format|22000 index .* holds vectors with|54000 index .* is full)/ && $name =~ /^[789]|check/ ? 'another error'
		  : $result =~ /^error 0A000 index .* has format/ ? 'corrupted'
		  : $result =~ /^error/ ? 'error' : $result =~ /lost/ ? 'lost' : 'right';

		$outcomes{$name}{$outcome}++;
		$told->("$name: $result") if $outcome eq 'error' || $outcome eq 'lost' || $outcome eq 'wrong order' && $name =~ /^[678]/;
		$lied = 1 if $outcome ne 'right' && $name =~ /^[1-5]/;
	}
	my $found = ($got{'6 check'} // '') =~ /^error (?:XX002|0A000 index .* has format)/;
	$told->("the check has not found it") if !$found && ($lied || !$job->{random} && $job->{name} !~ /^true:/);
	$told->("VACUUM: $1") if $err =~ /ERROR:  (?!index ".*" (?:is corrupted|has format))([^\n]*)/;
}
foreach my $name (sort keys %outcomes)
{
	note("$name: " . join(', ', map { "$outcomes{$name}{$_} $_" } sort keys %{ $outcomes{$name} }));
}

is($node->psql('postgres', join(';', map { "REINDEX INDEX t${_}_v" } 0 .. $#jobs)), 0, 'REINDEX');
is($node->safe_psql('postgres', join(';', map { "SELECT count(*) FROM (SELECT lost('t$_', 23, 100000, '{}') AS l, engram_index_check('t${_}_v')) AS x WHERE l <> 'right'" } 0 .. $#jobs)) =~ s/[0\n]//gr,
	'', 'makes all right again');
$node->stop;
is(scalar(@bad), 0, 'nothing is lost, and every lie is found') or diag("seed $seed:\n", join("\n", @bad));
done_testing();
