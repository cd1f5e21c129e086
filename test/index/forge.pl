# Pages that say what is not true under a checksum that is right: a scan gives
# the right rows or the error that the index is corrupted, loses nothing but rows
# of the forged page, never crashes, hangs or makes the table longer; and
# engram_index_check finds every lie.
#
# FORGED_INDEXES says how many indexes are forged at random, beside the named
# forgeries, and FORGED_NAMED how many of these; all without it.  From format 3 on indexes
# are of several kinds: with a basis of the build, with one that VACUUM found, with none so
# that it is about to, and with two of them; and some with filter columns, which are of format 4.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use EngramkIndex;
use List::Util qw(shuffle sum0);
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
	FINE => 5,
	FILTER => 6
};

my $node = start_index_node('forge',
	"restart_after_crash = on\nautovacuum = off\nstatement_timeout = '60s'\njit = off\nfsync = off",
	without_checksums => 1);
my $version = $node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'engramk'});
my $format = $version < 1.5 ? 1 : $version < 1.6 ? 2 : 3;
$node->safe_psql('postgres', "ALTER EXTENSION engramk UPDATE TO '1.8'") if $format == 3;

# Where things are, as src/index/index.h and page.c have it: place and size.  In
# the fields of an entry, place is what field() makes of it.
my %meta = (magic => [ 0, 4 ], format => [ 4, 4 ], dims => [ 8, 4 ],
	coarse_dims => [ 12, 1 ], steps4 => [ 13, 1 ], steps2 => [ 14, 1 ], basis_id => [ 15, 1 ],
	null_pages => [ 16, 4 ], basis_pages => [ 20, 4 ], first_block => [ 24, 4 ], entries => [ 28, 4 ],
	free_entries => [ 32, 4 ], free_hint => [ 36, 4 ], sampled => [ 40, 4 ]);
my %meta_3 = (steps => [ 44, 4 ], current => [ 48, 4 ], recoding => [ 52, 4 ], cramped => [ 56, 4 ], tried => [ 60, 4 ], tried_residual => [ 64, 4 ]);
foreach my $slot (0, 1)
{
	my $at = 68 + 16 * $slot;

	@meta_3{ map { "slot${slot}_$_" } qw(id block from dims steps4 steps2 unused) } =
	  ([ $at, 4 ], [ $at + 4, 4 ], [ $at + 8, 4 ], [ $at + 12, 1 ], [ $at + 13, 1 ], [ $at + 14, 1 ], [ $at + 15, 1 ]);
}
my %meta_4 = (filters => [ 100, 1 ], map { ("filter_bytes$_" => [ 101 + $_, 1 ]) } 0 .. 30);
my %header = (number => 0, begun => 4, vectors => 8, nulls => 12, slack => 16);
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
	my ($at, $size) = @{ $meta{$field} // $meta_3{$field} // $meta_4{$field} };

	return unpack($size == 1 ? 'C' : 'V', substr($page, CONTENTS + $at, $size));
}

# From format 3 on the map follows what the metapage says
sub map_begin
{
	return CONTENTS + (meta_field($_[0], 'format') == 4 ? 136 : 104);
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
	%m = map { $_ => meta_field($page, $_) } keys %meta, keys %meta_3 if $m{format} >= 3;
	my $usable = SPECIAL - CONTENTS;

	if ($m{format} == 1)
	{
		$m{group_size} = $group_header + LANES * $m{coarse_dims};
		$m{fine_size} = ($m{dims} + 8 + 3) & ~3;
		$m{groups_per_page} = int($usable / $m{group_size});
	}
	else
	{
		$m{group_size} = 64 * ($m{format} == 2 ? $m{steps4} + $m{steps2} : $m{steps});
		$m{fine_size} = ($m{dims} + 16 + 8 + 7) & ~7;
		$m{groups_per_page} = int((SPECIAL - CODES) / ($m{group_size} + LANES * (2 + 4)));
	}
	$m{coarse_per_page} = $m{groups_per_page} * LANES;
	$m{fine_per_page} = int($usable / $m{fine_size});
	$m{fine_pages} = divide_up($m{coarse_per_page} * ($m{format} == 1 ? STRETCH : 1), $m{fine_per_page});
	$m{filter_bytes} = $m{format} == 4 ? [ map { meta_field($page, "filter_bytes$_") } 0 .. meta_field($page, 'filters') - 1 ] : [];
	$m{filter_per_page} = int((SPECIAL - CODES) / LANES / sum0(@{ $m{filter_bytes} })) * LANES if $m{format} == 4;
	return \%m;
}

# Pages of filter codes with which a stretch of so many coarse pages begins
sub filter_pages
{
	my ($m, $pages) = @_;

	return $m->{format} == 4 ? divide_up($pages * $m->{coarse_per_page}, $m->{filter_per_page}) : 0;
}

# The stretch of a coarse page: its first page, how many there are, its first block, and
# that of its coarse pages
sub stretch_of
{
	my ($m, $page) = @_;
	my $filters = 0;
	my ($first, $pages, $largest) = $m->{format} == 1 ? (0, STRETCH, STRETCH) : (0, 4, $m->{format} == 2 ? 128 : 256);

	while ($pages < $largest && $page >= $first + 4 * $pages)
	{
		$filters += 4 * filter_pages($m, $pages);
		$first += 4 * $pages;
		$pages *= 2;
	}
	$filters += int(($page - $first) / $pages) * filter_pages($m, $pages);
	$first += int(($page - $first) / $pages) * $pages;
	my $block = $m->{first_block} + $filters + ($m->{format} == 1 ? $first / STRETCH * (STRETCH + $m->{fine_pages}) : $first * (1 + $m->{fine_pages}));
	foreach my $slot ($m->{format} >= 3 ? (0, 1) : ())
	{
		my $from = $m->{"slot${slot}_from"};

		$block += slot_pages($m) if $from > 0 && $first >= $from;
	}
	return ($first, $pages, $block, $block + filter_pages($m, $pages));
}

sub slot_pages
{
	my ($m) = @_;
	my $coordinates = $m->{dims} < 160 ? $m->{dims} : 160;

	return divide_up(8 + 16 * $coordinates + 4 * $coordinates * $m->{dims}, SPECIAL - CONTENTS);
}

# Blocks and places of an entry
sub place_of
{
	my ($m, $entry) = @_;
	my $page = int($entry / $m->{coarse_per_page});
	my $on_page = $entry % $m->{coarse_per_page};
	my ($first, $stretch, $filters, $begin) = stretch_of($m, $page);
	my $in_stretch = ($page - $first) * $m->{coarse_per_page} + $on_page;
	my $within = $m->{format} == 1 ? $in_stretch : $on_page;
	my $fine = $begin + $stretch + int($within / $m->{fine_per_page}) + ($m->{format} == 1 ? 0 : ($page - $first) * $m->{fine_pages});

	return {
		coarse_block => $begin + $page - $first,
		on_page => $on_page,
		lane => $on_page % LANES,
		fine_block => $fine,
		fine => CONTENTS + $within % $m->{fine_per_page} * $m->{fine_size},
		$m->{format} < 4 ? () : (
			filter_block => $filters + int($in_stretch / $m->{filter_per_page}),
			filter_slot => $in_stretch % $m->{filter_per_page})
	};
}

# Steps of the codes on a page, and where a group of it is
sub steps_on
{
	my ($m, $page) = @_;
	my $basis = unpack('V', substr($page, SPECIAL + 4, 4));

	return $m->{steps4} + $m->{steps2} if $m->{format} == 2;
	foreach my $slot (0, 1)
	{
		return $m->{"slot${slot}_steps4"} + $m->{"slot${slot}_steps2"} if $basis > 0 && $m->{"slot${slot}_id"} == $basis;
	}
	return 0;
}

sub group_of
{
	my ($m, $page, $place) = @_;
	my $number = int($place->{on_page} / LANES);

	return $m->{format} == 1 ? CONTENTS + $number * $m->{group_size} : CODES + $number * 64 * steps_on($m, $page);
}

# Pointers of the rows that an entry of a page is about, and whether there is one
sub row_of
{
	my ($pages, $m, $entry) = @_;
	my ($state_block, $state_at) = field($m, $entry, 'state');
	my ($block, $at, $size) = field($m, $entry, 'tid');

	return if $state_block > $#$pages || ord(substr($pages->[$state_block], $state_at, 1)) == 0;
	my ($high, $low, $offset) = unpack('vvv', substr($pages->[$block], $at, $size));
	return '(' . ($high << 16 | $low) . ",$offset)";
}

# Where a field of an entry is: block, place and size; of a filter, such as filter1, its code, or
# the upper half if it has eight bytes, and filter1_low is the lower one
sub field
{
	my ($m, $entry, $name) = @_;
	my $place = place_of($m, $entry);
	my $residuals = CODES + $m->{groups_per_page} * $m->{group_size};

	if ($name =~ /^filter(\d+)(_low)?$/)
	{
		my $codes = CODES + $m->{filter_per_page} * (sum0(@{ $m->{filter_bytes} }[ 0 .. $1 - 1 ]) + ($2 ? 4 : 0));

		return ($place->{filter_block}, $codes + 4 * $place->{filter_slot}, 4);
	}
	if (my $f = $fine{$name})
	{
		return ($place->{fine_block}, $place->{fine} + ($m->{format} == 1 ? 0 : 16) + $f->[0], $f->[1]);
	}
	if ($m->{format} == 1)
	{
		my ($at, $size) = @{ $group{$name} };

		return ($place->{coarse_block}, group_of($m, '', $place) + $at + $size * $place->{lane}, $size);
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
# with "true:" is no lie: the check need not mind; nor need it of one with "maybe:",
# unless an answer is wrong.  With "harmless:" nothing may mind; with "fatal:" everything
# must, and with "fatal to filter:" whatever has a filter.

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

# The coarse code of one entry; from format 2 on
sub of_code
{
	my ($change) = @_;

	return sub {
		my ($pages, $m, $entry) = @_;
		my $place = place_of($m, $entry);

		my $group = group_of($m, $pages->[ $place->{coarse_block} ], $place);
		foreach my $step (0 .. steps_on($m, $pages->[ $place->{coarse_block} ]) - 1)
		{
			my $at = $group + 64 * $step + 4 * $place->{lane};

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
		my ($at, $size) = @{ $meta{$name} // $meta_3{$name} // $meta_4{$name} };
		my $new = ref $value ? $value->(meta_field($pages->[0], $name)) : $value;

		substr($pages->[0], CONTENTS + $at, $size) = $size == 1 ? chr($new & 0xFF) : pack('V', $new & 0xFFFFFFFF);
		return 0;
	};
}

# Bytes of the metapage
sub of_map
{
	my ($at, $bytes) = @_;

	return sub {
		substr($_[0][0], map_begin($_[0][0]) + $at, length($bytes)) = $bytes;
		return 0;
	};
}

# The header of the coarse page of an entry; a number, or what becomes of it
sub of_header
{
	my ($name, $new) = @_;

	return sub {
		my ($pages, $m, $entry) = @_;
		my $block = place_of($m, $entry)->{coarse_block};
		my $at = CONTENTS + $header{$name};

		substr($pages->[$block], $at, 4) = ref $new ? pack('V', $new->(unpack('V', substr($pages->[$block], $at, 4))) & 0xFFFFFFFF)
		  : length($new) == 4 && $name eq 'slack' ? $new : pack('V', $new);
		return $block;
	};
}

# Says that its page has codes in another basis
sub of_basis
{
	my ($new) = @_;

	return sub {
		my ($pages, $m, $entry) = @_;
		my $block = place_of($m, $entry)->{coarse_block};

		substr($pages->[$block], SPECIAL + 4, 4) = pack('V', $new->(unpack('V', substr($pages->[$block], SPECIAL + 4, 4))));
		return $block;
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
		my $before = $m->{format} == 1 ? 0 : 8 + 16 * ($m->{format} == 2 ? $m->{coarse_dims} : $m->{slot0_dims} || $m->{slot1_dims});

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
	(map { [ "$_ 0", of_meta($_ => 0) ] } qw(magic format dims basis_pages first_block entries), $format == 3 ? () : 'coarse_dims'),
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
	(map { my $of = $_; [ "a step of 4 bits for one of 2, $of", both(of_meta("${of}steps4" => $decreased), of_meta("${of}steps2" => $increased)) ],
		[ "a step of 2 bits for one of 4, $of", both(of_meta("${of}steps4" => $increased), of_meta("${of}steps2" => $decreased)) ] }
		$format == 2 ? '' : 'slot0_'),
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
my $nobody = pack('v', 0xFF80);
my $somebody = pack('v', 0x3F80);
my $zeros = sub { 0 };
# of each kind of index
my @any_3 = (
	(map { my $n = $_; (map { [ "$n $_->[0]", of_header($n => $_->[1]) ] } [ 'increased', $increased ], [ 'decreased', $decreased ], [ 'that of no page', sub { 1_000_000 } ],
		[ 'as large as can be', sub { 0xFFFFFFFF } ], [ 'half of all', sub { 0x80000000 } ]) } qw(number vectors nulls)),
	(map { my $n = $_; [ "$n 0", of_header($n => 0) ] } qw(begun vectors)),
	[ 'begun one less', of_header(begun => sub { 5 }) ],
	[ 'more begun than there are', of_header(begun => sub { 0xFFFF }) ],
	[ 'begun as large as can be', of_header(begun => 0xFFFFFFFF) ],
	[ 'counts that make nothing together', both(of_header(vectors => 0xFFFFFFFF), of_header(nulls => 1)) ],
	(map { [ "slack $_", of_header(slack => $float{$_}) ] } qw(nan minus_infinity minus_one)),
	[ 'true: slack of infinity', of_header(slack => $float{infinity}) ],
	[ 'true: much slack', of_header(slack => pack('f<', 3)) ],
	[ 'maybe: no slack', of_header(slack => $float{nothing}) ],
	[ 'a vector that is hidden', of_entry(residual => $nobody) ],
	[ 'vectors that are hidden', of_group(residual => $nobody) ],
	[ 'a vector that is hidden well', both(of_entry(residual => $nobody), of_header(vectors => $decreased)) ],
	[ 'a vector called NULL', both(of_entry(residual => $nobody), of_entry(coarse_norm => pack('f<', 2))) ],
	[ 'a vector well called NULL', both(both(of_entry(residual => $nobody), of_entry(coarse_norm => pack('f<', 2))),
		both(of_header(vectors => $decreased), of_header(nulls => $increased))) ],
	(map { my $n = $_; [ "a free entry called a vector, $n", sub {
			my ($pages, $m) = @_;
			my $last = $m->{entries} - 1;

			of_entry(residual => $somebody)->($pages, $m, $last);
			of_header(vectors => $increased)->($pages, $m, $last) if $n;
			return of_header(begun => sub { $m->{coarse_per_page} })->($pages, $m, $last);
		} ] } 0, 1),
	(map { my $n = $_; [ "a page of basis $n", of_basis(sub { $_[0] + $n }) ] } 1, 5, 0xFFFFFFF),
	(map { my $n = $_; (map { [ "true: $n $_", of_meta($n => $_) ] } 0, 1, 7, 0x7FC00000, 0x80000000, 0xFFFFFFFF) } qw(recoding cramped tried tried_residual sampled)),
	(map { my $n = $_; [ "$n of steps", of_meta(steps => $n) ], [ "current $n", of_meta(current => $n) ] } 33, 0x80000000, 0xFFFFFFFF),
	[ 'no steps', of_meta(steps => 0) ],
	[ 'steps increased', of_meta(steps => sub { $_[0] + 1 }) ],
	[ 'steps decreased', of_meta(steps => sub { $_[0] - 1 }) ],
	(map { my $slot = $_; (map { my $n = $_; (map { [ "slot$slot $n " . (ref $_ ? 'changed' : $_), of_meta("slot${slot}_$n" => $_) ] } sub { $_[0] + 1 },
		0x80000000, 0xFFFFFFFF) } qw(id from)) } 0, 1),
	(map { my $slot = $_; (map { my $n = $_; (map { [ "slot$slot $n " . (ref $_ ? 'changed' : $_), of_meta("slot${slot}_$n" => $_) ] } sub { $_[0] + 1 },
		200, 255) } qw(dims steps4 steps2)) } 0, 1),
	(map { my $slot = $_; (map { my $n = $_; [ "slot$slot at $n", of_meta("slot${slot}_block" => sub { $_[0] == $n ? $n + 1 : $n }) ] } 7, 20, 0x80000000, 0xFFFFFFFF) } 0, 1),
	[ 'true: what is not used', of_meta(slot0_unused => 255) ],
	(map { my $n = $_; [ "true: a map of sections to come, $n", of_map($n, "\xFF" x 8) ] } 1, 1000, 8008),
	[ 'a map that hides the last section', of_map(0, "\xFF") ],
	[ 'a fine page of zeros', of_kind(FINE, 0, "\0" x PAGE) ]);
# without filters
my @unfiltered_3 = ([ 'fatal: a filter that the index has not', both(of_meta(format => 4), both(of_meta(filters => 1), of_meta(filter_bytes0 => 4))) ]);
# with a basis of the build
my @built_3 = (
	[ 'fatal to insert: a page of zeros, where the next entry will be', sub {
			my ($pages, $m) = @_;
			my ($last) = grep { row_of($pages, $m, $_) } reverse 0 .. $m->{entries} - 1;
			my $block = place_of($m, $last + 1)->{fine_block};

			$block == place_of($m, $last)->{fine_block} or die 'the page is full';
			$pages->[$block] = "\0" x PAGE;
			return $block;
		} ],
	[ 'a basis that is not in use', of_meta(current => 0) ],
	[ 'a current basis that is to come', of_meta(current => 2) ],
	[ 'no basis', both(of_meta(current => 0), both(both(of_meta(slot0_id => 0), of_meta(slot0_dims => 0)), both(of_meta(slot0_steps4 => 0), of_meta(slot0_steps2 => 0)))) ],
	[ 'no slot', both(both(of_meta(current => 0), of_meta(slot0_block => 0)),
		both(both(of_meta(slot0_id => 0), of_meta(slot0_dims => 0)), both(of_meta(slot0_steps4 => 0), of_meta(slot0_steps2 => 0)))) ],
	[ 'the same basis twice', sub {
			my ($pages) = @_;

			substr($pages->[0], CONTENTS + 84, 16) = substr($pages->[0], CONTENTS + 68, 16);
			return 0;
		} ],
	(map { my $n = $_; [ "true: a usual weight of $n", of_kind(BASIS, CONTENTS + 4, pack('f<', $n)) ] } 0, 1e-44, 0.001, 1, 3e38));
# with a basis that VACUUM found
my @learned_3 = (
	(map { my $n = $_; [ "a usual weight of $n", of_kind(BASIS, CONTENTS + 4, $float{$n}) ] } qw(nan infinity minus_one)),
	(map { my $n = $_; [ "maybe: a usual weight of $n", of_kind(BASIS, CONTENTS + 4, pack('f<', $n)) ] } 1e-44, 0.001, 0.1),
	(map { my $n = $_; [ "true: a usual weight of $n", of_kind(BASIS, CONTENTS + 4, pack('f<', $n)) ] } 0, 1, 3e38),
	(map { my $n = $_; [ "a basis page of basis $n", of_kind(BASIS, SPECIAL + 4, pack('V', $n)) ] } 0, 2, 0xFFFFFFFF),
	[ 'a current basis that is not there', both(of_meta(current => 0), of_meta(recoding => 1)) ],
	[ 'a page without codes that it has', of_basis($zeros) ]);
# with none, so that the next VACUUM finds one
my @unlearned_3 = (
	(map { my $n = $_; [ "true: recoding without a basis, $n", of_meta(recoding => $n) ] } 1, 2),
	(map { my $n = $_; [ "room for a basis on block $n", of_meta(slot0_block => $n) ] } 1, 2, 5, 30),
	(map { my $n = $_; [ "room for a basis from page $n", both(of_meta(slot0_from => $n), of_meta(slot0_block => 5)) ] } 1, 4, 8, 20, 10000),
	(map { [ "fine scale $_", of_entry(fine_scale => $float{$_}) ], [ "fine residual $_", of_entry(fine_residual => $float{$_}) ] } qw(nan infinity minus_one nothing)),
	[ 'fine codes out of range', of_entry(fine_codes => chr(128) x 40) ],
	(map { [ "norm $_", of_entry(norm => $double{$_}) ] } sort keys %double),
	(map { [ "state $_", of_entry(state => chr($_)) ] } 0, 2, 3, 4, 255));
# Room for a basis after the end, as it is on a standby until a basis comes
my $room_to_come = sub {
	my ($pages, $m) = @_;
	my $slot = $m->{slot0_block} == 0 ? 0 : 1;
	my $from = $m->{entries} / $m->{coarse_per_page};

	$from++ while (stretch_of($m, $from))[0] != $from;
	my $block = (stretch_of($m, $from))[2];
	$block >= @$pages or die 'it is not to come';
	of_meta("slot${slot}_from" => $from)->($pages);
	return of_meta("slot${slot}_block" => $block)->($pages);
};
push @$_, [ 'harmless: room for a basis to come', $room_to_come ] foreach \@built_3, \@learned_3, \@unlearned_3;

# with two
my @half_3 = (
	(map { my $n = $_; [ "a page of basis $_->[0]", of_basis($_->[1]) ] } [ 'one more or less', sub { 3 - $_[0] } ], [ 'none', $zeros ], [ 'three', sub { 3 } ]),
	[ 'maybe: two bases, and nothing to do', of_meta(recoding => 0) ],
	[ 'the old basis gone', both(of_meta(slot0_id => 0), both(of_meta(slot0_dims => 0), both(of_meta(slot0_steps4 => 0), of_meta(slot0_steps2 => 0)))) ],
	[ 'the old basis in use', of_meta(current => 1) ],
	[ 'bases exchanged', both(of_meta(slot0_id => 2), of_meta(slot1_id => 1)) ],
	(map { my $n = $_; [ "a basis page of basis $n", of_kind(BASIS, SPECIAL + 4, pack('V', $n)) ] } 0, 2, 0xFFFFFFFF));
# of more than one section
my @large_3 = (
	[ 'a map that hides a section', of_map(0, "\x01") ],
	[ 'a map that hides all', of_map(0, "\xFF" x 100) ],
	[ 'true: a map that hides the last section, and those to come', both(of_map(0, "\xFC"), of_map(1, "\xFF" x 100)) ],
	(map { my $n = $_; [ "$n without a section", of_header($n => 0) ] } qw(vectors begun)));
# What an index has of filters: an integer, a timestamp in eight bytes, and a hash
my $changed_by = sub { my ($bits) = @_; sub { pack('V', unpack('V', $_[0]) ^ $bits) } };
sub of_filters
{
	my (@bytes) = @_;

	return sub {
		of_meta("filter_bytes$_" => $bytes[$_] // 0)->(@_) foreach 0 .. 4;
		return of_meta(filters => scalar(@bytes))->(@_);
	};
}
my @filtered_4 = (
	(map { my $n = $_; (map { my $bits = $_; [ sprintf('%s changed by %x', $n, $bits), of_entry($n => $changed_by->($bits)) ],
		[ sprintf('%s of a group changed by %x', $n, $bits), of_group($n => $changed_by->($bits)) ] } 1, 0x80000000, 0xFFFFFFFF) } qw(filter0 filter1 filter1_low filter2)),
	(map { my $n = $_; [ "$n of a group that is NULL", of_group($n => "\0" x 4) ] } qw(filter0 filter1 filter2)),
	[ 'codes of two entries exchanged', sub {
			my ($pages, $m, $entry) = @_;
			my @codes = map { my ($block, $at, $size) = field($m, $_, 'filter0'); substr($pages->[$block], $at, $size) } $entry, $entry + 1;

			of_entry(filter0 => $codes[1])->($pages, $m, $entry);
			return of_entry(filter0 => $codes[0])->($pages, $m, $entry + 1);
		} ],
	[ 'harmless: a code of nobody', sub {
			my ($pages, $m) = @_;
			my ($free) = grep { !row_of($pages, $m, $_) && kind_of($pages->[ place_of($m, $_)->{filter_block} ]) == FILTER } reverse 0 .. $m->{entries} - 1;

			return of_entry(filter0 => "\xFF" x 4)->($pages, $m, $free);
		} ],
	[ 'harmless: bytes before the codes', of_kind(FILTER, CONTENTS, "\xFF" x (CODES - CONTENTS)) ],
	[ 'harmless: a count of nothing', of_kind(FILTER, SPECIAL + 4, pack('V', 0xFFFFFFFF)) ],
	[ 'fatal to filter: a filter page of zeros', of_kind(FILTER, 0, "\0" x PAGE) ],
	[ 'a filter page that covers nothing', of_kind(FILTER, 12, pack('v', CONTENTS)) ],
	[ 'a filter page that covers less', of_kind(FILTER, 12, pack('v', 4096)) ],
	[ 'a filter page that covers all', of_kind(FILTER, 12, pack('v', SPECIAL)) ],
	[ 'a filter page that ends elsewhere', of_kind(FILTER, 14, pack('v', SPECIAL - 8)) ],
	[ 'a filter page whose special space is elsewhere', of_kind(FILTER, 16, pack('v', SPECIAL - 8)) ],
	(map { my $kind = $_; [ "a filter page as one of kind $kind", of_kind(FILTER, SPECIAL, pack('v', $kind)) ] } 0, META, NULLS, BASIS, COARSE, FINE, 7, 0xFFFF),
	[ 'a filter page of no index', of_kind(FILTER, SPECIAL + 2, pack('v', 0)) ],
	[ 'a coarse page as a filter page', of_kind(COARSE, SPECIAL, pack('v', FILTER)) ],
	[ 'a fine page as a filter page', of_kind(FINE, SPECIAL, pack('v', FILTER)) ],
	(map { my $n = $_; [ "fatal: $n filters", of_meta(filters => $n) ] } 0, 2, 4, 31, 32, 255),
	(map { my $i = $_; (map { my $n = $_; [ "fatal: $n bytes of filter $i", of_meta("filter_bytes$i" => sub { $_[0] == $n ? 12 - $n : $n }) ] } 0, 1, 4, 5, 8, 255) } 0 .. 3, 30),
	# of as many bytes together, so that pages have room for as many entries
	(map { my @bytes = @$_; [ "fatal: filters of @bytes bytes", of_filters(@bytes) ] } [ 8, 4, 4 ], [ 4, 4, 8 ], [ 8, 8 ], [ 4, 4, 4, 4 ]),
	[ 'fatal: a format without filters, and none', both(of_meta(format => 3), of_filters()) ]);
my @named_early = (
	[ 'an early NULL that points to no block', of_kind(NULLS, CONTENTS + 12, tid(0xFFFFFFFF, 1)) ],
	[ 'an early NULL that points beyond the table', of_kind(NULLS, CONTENTS + 12, tid(1000, 1)) ],
	[ 'an early NULL that points to another row', of_kind(NULLS, CONTENTS + 12, tid(0, 1)) ],
	[ 'an early NULL that is gone', of_kind(NULLS, CONTENTS + 12, tid(0xFFFFFFFF, 0)) ],
	[ 'an early NULL that was never there', of_kind(NULLS, CONTENTS + 12, tid(0, 0)) ],
	(map { [ "a count of $_ early NULLs", of_kind(NULLS, SPECIAL + 4, pack('V', $_)) ] } 0, 1, 499, 501, 1358, 1359, 0x7FFFFFFF, 0xFFFFFFFF),
	[ 'null_pages 0', of_meta(null_pages => 0) ],
	[ 'another format, without a basis', of_meta(format => sub { $_[0] == 2 ? 1 : 2 }) ],
	[ 'steps without a basis', of_meta(steps2 => 1) ],
	[ 'a number of no basis', of_meta(basis_id => 1) ],
	[ 'a norm of NaN', of_entry(norm => $double{nan}) ],
	[ 'a fine residual of NaN', of_entry(fine_residual => $float{nan}) ],
	[ 'a fine residual of nothing', of_entry(fine_residual => $float{nothing}) ],
	[ 'a pointer to no block, without a basis', of_entry(tid => tid(0xFFFFFFFF, 1)) ]);

sub at_random
{
	my ($pages) = @_;
	# a fine page that no entry used is zeros, and a filter page
	my @used = grep { kind_of($pages->[$_]) != 0 } 0 .. $#$pages;
	my @coarse = grep { kind_of($pages->[$_]) == COARSE } @used;
	my $block = rand() < 0.2 ? 0 : rand() < 0.3 ? $coarse[ rand(@coarse) ] : $used[ rand(@used) ];
	my $lower = unpack('v', substr($pages->[$block], 12, 2));

	foreach my $change (1 .. 1 + int(rand(6)))
	{
		my $bytes = (pack('d<', 'nan'), pack('f<', 'nan'), chr(255) x 4, chr(0) x 4, pack('f<', 9**9**9), pack('V', int(rand(8))), pack('V', int(rand(300))),
			map { chr(int(rand(256))) } 1 .. 4)[ rand(11) ];
		my $last = rand() < 0.4 ? (kind_of($pages->[$block]) == META ? map_begin($pages->[0]) - CONTENTS : 24) : $lower - CONTENTS;
		my $at = CONTENTS + int(rand($last - length($bytes)));

		$at &= ~3 if rand() < 0.5;
		# what the special space says of a page, too
		$at = SPECIAL + 4 if $format == 3 && rand() < 0.05 && length($bytes) <= 4;

		substr($pages->[$block], $at, length($bytes)) = $bytes;
	}
	return $block;
}

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
	CREATE FUNCTION lost(source regclass, query integer, k integer, excused integer[], filter text DEFAULT 'true') RETURNS text LANGUAGE plpgsql
	SET enable_seqscan = off SET enable_sort = off AS $$
	DECLARE
		q real[] := sample_vector(query);
		metric record;
		ids integer[];
		farthest float8;
		missing integer[];
	BEGIN
		FOR metric IN SELECT * FROM (VALUES ('<=>', 'engram_cosine_distance'), ('<#>', 'engram_negative_inner_product'),
			('<->', 'engram_l2_distance')) AS m(operator, function)
		LOOP
			EXECUTE format('SELECT array_agg(id), CASE WHEN count(*) = count(d) THEN max(d) END FROM (SELECT id, v %2$s $1 AS d FROM %1$s WHERE %3$s ORDER BY v %2$s $1 LIMIT $2) AS x',
				source, metric.operator, filter) INTO ids, farthest USING q, k;
			EXECUTE format('SELECT array_agg(id ORDER BY id) FROM %s WHERE (%s(v, $1) < $2 OR $2 IS NULL OR $3) AND id <> ALL ($4) AND id <> ALL ($5) AND %s',
				source, metric.function, filter) INTO missing USING q, farthest, coalesce(cardinality(ids), 0) < k, coalesce(ids, '{}'), excused;
			IF missing IS NOT NULL THEN
				RETURN format('%s: %s rows lost where %s, %s', metric.operator, cardinality(missing), filter, missing[1:10]);
			END IF;
		END LOOP;
		RETURN 'right';
	END $$;

	-- The same of those within a radius that has one in five
	CREATE FUNCTION lost_within(source regclass, query integer, excused integer[], filter text DEFAULT 'true') RETURNS text LANGUAGE plpgsql
	SET enable_seqscan = off AS $$
	DECLARE
		q real[] := sample_vector(query);
		metric record;
		radius float8;
		ids integer[];
		missing integer[];
	BEGIN
		FOR metric IN SELECT * FROM (VALUES ('engram_cosine_within', 'engram_cosine_distance'), ('engram_inner_product_within', 'engram_negative_inner_product'),
			('engram_l2_within', 'engram_l2_distance')) AS m(within, function)
		LOOP
			EXECUTE format('SELECT percentile_disc(0.2) WITHIN GROUP (ORDER BY %s(v, $1)) FROM %s', metric.function, source) INTO radius USING q;
			EXECUTE format('SELECT array_agg(id) FROM %s WHERE %s(v, $1, $2) AND %s', source, metric.within, filter) INTO ids USING q, radius;
			EXECUTE format('SELECT array_agg(id ORDER BY id) FROM %s WHERE %s(v, $1) <= $2 AND id <> ALL ($3) AND id <> ALL ($4) AND %s',
				source, metric.function, filter) INTO missing USING q, radius, coalesce(ids, '{}'), excused;
			IF missing IS NOT NULL THEN
				RETURN format('%s: %s rows lost where %s, %s', metric.within, cardinality(missing), filter, missing[1:10]);
			END IF;
		END LOOP;
		RETURN 'right';
	END $$;

	CREATE TABLE stock AS SELECT i AS id, sample_vector(i) AS v FROM generate_series(1, 1100) AS i;
});

# Tables of 1,100 rows; and of 500 rows that are NULL and came before 300 vectors.
my @jobs = (
	(map { { name => $_->[0], forge => $_->[1] } } @named, $format == 1 ? @named_1 : @named_2),
	(map { { name => $_->[0], forge => $_->[1], early => 1 } } @named_early));
my @kinds = ('');
if ($format == 3)
{
	my @named_jobs = grep { !$_->{early} } @jobs;
	my %of_kind = (built => [ @built_3, @any_3, @unfiltered_3 ], learned => [ @learned_3, @any_3 ], unlearned => [ @unlearned_3, @any_3 ], half => [ @half_3, @any_3 ],
		large => \@large_3, filtered_built => [ @built_3, @any_3, @filtered_4 ], filtered_learned => [ @learned_3, @filtered_4 ], filtered_half => [ @half_3, @filtered_4 ]);

	@kinds = qw(built learned unlearned half filtered_built filtered_learned filtered_half);
	push @jobs, map { { %$_, name => "$_->{name}, filtered_built", kind => 'filtered_built' } } @named_jobs;
	$_->{kind} = 'built' foreach @named_jobs;
	foreach my $kind (sort keys %of_kind)
	{
		push @jobs, map { { name => "$_->[0], $kind", forge => $_->[1], kind => $kind } } @{ $of_kind{$kind} };
	}
}
# another few each time, where there is not enough of it for all
@jobs = (shuffle(@jobs))[ 0 .. $ENV{FORGED_NAMED} - 1 ] if ($ENV{FORGED_NAMED} // @jobs) < @jobs;
push @jobs, map { { name => "random $_", forge => \&at_random, early => $_ % 5 == 0, random => 1, kind => $kinds[ $_ % @kinds ] } } 1 .. $random;
delete $_->{kind} foreach grep { $_->{early} || !$_->{kind} } @jobs;
@jobs = grep { $_->{name} =~ /$ENV{FORGE_ONLY}/ } @jobs if $ENV{FORGE_ONLY};

sub is_filtered { return ($_[0]{kind} // '') =~ /^filtered/; }

my $filter_columns = q{, tenant integer GENERATED ALWAYS AS (nullif(id % 5, 0)) STORED,
	moment timestamp GENERATED ALWAYS AS (timestamp '2024-01-01' + id * interval '1 hour') STORED, name text GENERATED ALWAYS AS ('n' || (id % 7)::text) STORED};

# Of each kind from format 3 on there is an index once, and tables with the same rows on the same
# pages; the pages of the index are put in the place of those that are built.
sub make_template
{
	my ($kind) = @_;
	my ($more_columns, $more_keys) = $kind =~ /^filtered/ ? ($filter_columns, ', tenant, moment, name') : ('', '');
	my $base = $kind =~ s/^filtered_//r;
	my $rows = { built => 1100, learned => 1100, unlearned => 1800, half => 2600, large => 8400 }->{$base};

	# others from 1,101 on
	$node->safe_psql('postgres', "CREATE TABLE rows_$kind (id integer, v real[] $more_columns);
		INSERT INTO rows_$kind (id, v) SELECT i, CASE WHEN '$base' = 'half' AND i > 1100
			THEN (SELECT array_agg((x * CASE WHEN j % 3 = 0 THEN 1 ELSE -1 END)::real ORDER BY (j * 37) % 96) FROM unnest(sample_vector(i)) WITH ORDINALITY AS u (x, j))
			ELSE sample_vector(i) END FROM generate_series(1, $rows) AS i ORDER BY i;
		CREATE TABLE like_$kind (LIKE rows_$kind INCLUDING GENERATED);");
	$node->safe_psql('postgres', "INSERT INTO like_$kind (id, v) SELECT id, v FROM rows_$kind WHERE id <= 1100 ORDER BY id") if $base =~ /^(?:built|half)$/;
	$node->safe_psql('postgres', "CREATE INDEX like_${kind}_v ON like_$kind USING engramk (v$more_keys)");
	$node->safe_psql('postgres', "INSERT INTO like_$kind (id, v) SELECT id, v FROM rows_$kind WHERE id > (SELECT count(*) FROM like_$kind) ORDER BY id");
	$node->safe_psql('postgres', "VACUUM like_$kind") if $base eq 'learned';
	half_recode("like_$kind") if $base eq 'half';
	return;
}

# VACUUM with many rests, and an end to it while it recodes
sub half_recode
{
	my ($table) = @_;
	my ($out, $err) = ('', '');
	my $vacuum = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', 'SET vacuum_cost_delay = 20', '-c', 'SET vacuum_cost_limit = 1', '-c', "VACUUM $table" ],
		'>', \$out, '2>', \$err);

	$node->poll_query_until('postgres', "SELECT recoding FROM engram_index_info('${table}_v')") or die "$table: VACUUM has not found a basis";
	$node->safe_psql('postgres', "SELECT pg_sleep(0.3)");
	$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'VACUUM $table%'");
	$vacuum->finish;
	return;
}

my %used_kinds = map { $_->{kind} => 1 } grep { $_->{kind} } @jobs;
make_template($_) foreach sort keys %used_kinds;
my @statements;
foreach my $n (0 .. $#jobs)
{
	my $job = $jobs[$n];
	my $keys = is_filtered($job) ? 'v, tenant, moment, name' : 'v';

	push @statements, $job->{early}
	  ? "CREATE TABLE t$n (id integer, v real[]); CREATE INDEX t${n}_v ON t$n USING engramk (v);
		INSERT INTO t$n SELECT id, NULL FROM stock WHERE id <= 500; INSERT INTO t$n SELECT 500 + id, v FROM stock WHERE id <= 300;"
	  : $job->{kind} ? "CREATE TABLE t$n (LIKE rows_$job->{kind} INCLUDING GENERATED); INSERT INTO t$n (id, v) SELECT id, v FROM rows_$job->{kind} ORDER BY id;
		CREATE INDEX t${n}_v ON t$n USING engramk ($keys);"
	  : "CREATE TABLE t$n AS SELECT * FROM stock ORDER BY id; CREATE INDEX t${n}_v ON t$n USING engramk (v);";
}
$node->safe_psql('postgres', join("\n", @statements));
my %file = map { split /\|/ } split /\n/, $node->safe_psql('postgres', q{SELECT relname, pg_relation_filepath(oid) FROM pg_class WHERE relname LIKE '%\_v'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE (relname LIKE 't%\_v' OR relname LIKE 'like%\_v') AND engram_index_check(oid) >= 300}),
	@jobs + keys %used_kinds, 'the indexes are right before');
is($node->safe_psql('postgres', q{SELECT string_agg(concat_ws(' ', relname, basis_vectors > 0, recoding), ', ' ORDER BY relname)
		FROM pg_class, engram_index_info(oid) WHERE relname ~ '^like_.*(half|learned)_v'}),
	join(', ', map { "like_${_}_v " . { half => 't t', learned => 't f', unlearned => 'f f' }->{ s/^filtered_//r } }
		grep { /half|learned/ } sort keys %used_kinds), 'and of their kinds') if $format == 3;
# a row by where it is; the same for all tables of a kind
my %row_at = map {
	my ($kind, $table) = @$_;
	$kind => { map { split /\|/ } split /\n/, $node->safe_psql('postgres', "SELECT ctid, id FROM $table") }
} (map { [ $_, "like_$_" ] } keys %used_kinds),
  map { [ $jobs[$_]{early} ? 'early' : 'stock', "t$_" ] } grep { !$jobs[$_]{kind} } 0 .. $#jobs;
$node->stop;

foreach my $n (0 .. $#jobs)
{
	my $job = $jobs[$n];
	my $path = $node->data_dir . '/' . $file{"t${n}_v"};
	my @pages = read_pages($job->{kind} ? $node->data_dir . '/' . $file{"like_$job->{kind}_v"} : $path);
	my @before = @pages;
	my $m = layout($pages[0]);
	$m->{format} == (is_filtered($job) ? 4 : $format) or die "of format $m->{format}";
	my $block = $job->{forge}->(\@pages, $m, 7 + int(rand(60)));
	my $kind = kind_of($before[$block]);

	# zeros are what nobody has used, and no seal
	seal(\$pages[$block]) if $pages[$block] =~ /[^\0]/;
	if ($job->{kind})
	{
		truncate($path, 0) or die "$path: $!";
		overwrite($path, 0, join('', @pages));
	}
	else
	{
		overwrite($path, $block * PAGE, $pages[$block]);
	}

	# what the page is about
	my $rows = $row_at{ $job->{kind} // ($job->{early} ? 'early' : 'stock') };
	my @entries = grep { my $place = place_of($m, $_); $place->{ { COARSE, 'coarse_block', FILTER, 'filter_block' }->{$kind} // 'fine_block' } == $block } 0 .. $m->{entries} - 1;
	$job->{excused} = $kind < COARSE ? [ values %$rows ] : [ grep { defined } map { my $row = row_of(\@before, $m, $_); $row ? $rows->{$row} : undef } @entries ];
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
		'5 listed' => "SELECT count(*) >= 0 FROM (SELECT id FROM t$n ORDER BY v <=> (SELECT NULL::real[])) AS x",
		'6 check' => "SELECT engram_index_check('t${n}_v')",
		'7 info' => $format == 3 ? "SELECT concat(dimensions, slow_because, engram_index_slow_because('t${n}_v')) FROM engram_index_info('t${n}_v')"
		: "SELECT dimensions FROM engram_index_info('t${n}_v')",
		'8 insert' => "INSERT INTO t$n (id, v) SELECT 10000 + i, sample_vector(i) FROM generate_series(10001, 10100) AS i RETURNING true");
	my %filtered_tries = (
		'1 nearest of a filter' => "SELECT lost('t$n', 17, 20, $excused, 'tenant = 3')",
		'2 all of a filter' => "SELECT lost('t$n', 23, 100000, $excused, \$\$name IN ('n1', 'n2', 'n4')\$\$)",
		'3 small budget of a filter' => "SELECT set_config('engramk.arena_size', '64kB', true) IS NULL, lost('t$n', 31, 100000, $excused, \$\$moment > '2024-01-10' AND tenant < 4\$\$)",
		# all of the list is read, whatever it is compared with
		'5 listed of a filter' => "WITH listed AS MATERIALIZED (SELECT id FROM t$n WHERE tenant IS NULL ORDER BY v <=> (SELECT NULL::real[]) LIMIT 100000)
			SELECT CASE WHEN (SELECT count(*) FROM listed) < 0 OR EXISTS (SELECT id FROM t$n WHERE tenant + 0 IS NULL AND id <> ALL (${excused}::integer[])
			EXCEPT TABLE listed) THEN 'rows lost' ELSE 'right' END",
		'5 within of a filter' => "SELECT lost_within('t$n', 29, $excused, 'tenant IN (1, 2)')");
	$tries{'5 within'} = "SELECT lost_within('t$n', 19, $excused)" if $format == 3;
	%tries = (%tries, %filtered_tries) if is_filtered($job);
	my $sql = join(";\n", 'SET enable_seqscan = off',
		"SELECT 'size', pg_relation_size('t$n')",
		(map { my $name = $_; "SELECT '$name', attempt(\$sql\$$tries{$name}\$sql\$)" } sort grep { !/^8/ } keys %tries),
		"SELECT 'size', pg_relation_size('t$n')",
		"SELECT '8 insert', attempt(\$sql\$$tries{'8 insert'}\$sql\$)",
		"DELETE FROM t$n WHERE id % 3 = 0",
		"VACUUM t$n",
		is_filtered($job) ? "SELECT '9 afterwards of a filter', attempt(\$sql\$SELECT lost('t$n', 23, 100000, $excused, 'tenant > 2')\$sql\$)" : (),
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
		my $outcome = $result =~ /^error (?:XX002|XX001 invalid page in block)/ ? 'corrupted'
		  : $result =~ /^error XX000 index returned tuples in wrong order/ ? 'wrong order'
		  : $result =~ /^error (?:0A000 index .* has format|22000 index .* holds vectors with|54000 index .* is full)/ && $name =~ /^[789]|check/ ? 'another error'
		  : $result =~ /^error 0A000 index .* has format/ ? 'corrupted'
		  : $result =~ /^error/ ? 'error' : $result =~ /lost/ ? 'lost' : 'right';

		$outcomes{$name}{$outcome}++;
		$told->("$name: $result") if $outcome eq 'error' || $outcome eq 'lost' || $outcome eq 'wrong order' && $name =~ /^[678]/;
		$lied = 1 if $outcome ne 'right' && $name =~ /^[1-5]/;
		$told->("$name: $result, where it should have seen damage") if $outcome !~ /corrupted|another error/ &&
		  ($job->{name} =~ /^fatal:/ || $job->{name} =~ /^fatal to (\w+):/ && $name =~ /$1/);
		$told->("$name: $result, though it does no harm") if $outcome ne 'right' && $job->{name} =~ /^harmless:/;
	}
	my $found = ($got{'6 check'} // '') =~ /^error (?:XX002|XX001 invalid page in block|0A000 index .* has format)/;
	$told->("the check has not found it") if !$found && ($lied || !$job->{random} && $job->{name} !~ /^(?:true|maybe|harmless):/);
	$told->("VACUUM: $1") if $err =~ /ERROR:  (?!index ".*" (?:is corrupted|has format)|invalid page in block)([^\n]*)/;
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
