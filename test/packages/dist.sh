#!/bin/sh
# Makes the zip for PGXN that META.json describes, and proves that it is enough:
# unpacked elsewhere it builds, installs and passes a regression test, in
# throwaway servers; and that made again, elsewhere, it has the same bytes.
#
#	test/packages/dist.sh
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
skipped=77

if ! git rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
	echo "SKIPPED: this is not a checkout, of which make dist takes what is committed"
	exit $skipped
fi

scratch=$(mktemp -d /tmp/engramk.XXXXXX)
chmod 755 "$scratch"
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

fail()
{
	echo "not ok - $*"
	exit 1
}

git clone -q --shared "$top" "$scratch/clone"
(
	umask 077
	export TZ=Asia/Tokyo
	make -s -C "$scratch/clone" dist
)
make -s dist
release=$(git show HEAD:META.json | sed -nE 's/^   "version": "(.*)",$/\1/p')
zip=build/engramk-$release.zip
cmp "$zip" "$scratch/clone/$zip" || fail "made twice, the zip is not the same"
echo "ok - made twice, the zip is the same"

unzip -q "$zip" -d "$scratch"
cd "$scratch/engramk-$release"
if [ -e .ci ] || [ -e .github ]; then
	fail "the zip has files for continuous integration"
fi

# Every file that it names is there, and every extension is named.
perl -MJSON::PP -e '
	local $/;
	my $meta = JSON::PP->new->decode(<STDIN>);
	$meta->{"meta-spec"}{version} eq "1.0.0" or die "another meta-spec\n";
	$meta->{$_} or die "no $_\n" foreach qw(name version abstract maintainer license provides resources);
	foreach my $extension (keys %{ $meta->{provides} })
	{
		my $provided = $meta->{provides}{$extension};
		-e $_ or die "$_ is not in the zip\n" foreach @{$provided}{qw(file docfile)}, "$extension.control";
	}
	my $named = join " ", sort keys %{ $meta->{provides} };
	my $there = join " ", sort map { s/\.control$//r } glob "*.control";
	$named eq $there or die "META.json provides $named, the zip $there\n"' <META.json ||
	fail "META.json does not describe the zip"
echo "ok - META.json describes the zip"

# without optimising, which takes half of the time: nobody measures here
make -s -j2 with_llvm=no PROFILE=-O0 all >"$scratch/build.log" 2>&1 || {
	cat "$scratch/build.log"
	fail "the zip does not build"
}
# these servers are made by the scripts of the zip, which know of no other build
test/with-cluster.sh -o autovacuum=off make -s installcheck REGRESS=operators >"$scratch/regress.log" 2>&1 || {
	cat "$scratch/regress.log"
	fail "the zip does not pass a regression test"
}
test/with-cluster.sh psql -X -q -v ON_ERROR_STOP=1 <<'SQL' || fail "the extensions of the zip cannot be created"
SET client_min_messages = warning;
CREATE EXTENSION engramk;
SELECT count(*) AS has_pgvector FROM pg_available_extensions WHERE name = 'vector' \gset
\if :has_pgvector
CREATE EXTENSION engramk_pgvector CASCADE;
\else
\echo 'SKIPPED: CREATE EXTENSION engramk_pgvector, there is no pgvector'
\endif
SQL
echo "ok - built, installed and tested from the zip alone"
