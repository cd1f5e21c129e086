#!/bin/sh
# Builds engramk for other PostgreSQL majors and tests what a major can change:
# SQL, several sessions and servers, the index's races, standby, crashes and damaged pages.
#
#	test/run-majors.sh PG_CONFIG...		what `make test-majors` calls
#
# Each build is made in a copy of the sources, so this one stays as it is.  A
# PostgreSQL that was compiled with assertions finds more.
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit
# shellcheck source=test/suites.sh
. test/suites.sh
builds=$(mktemp -d /tmp/engramk.XXXXXX)
chmod 755 "$builds"
trap 'rm -rf "$builds" "$suites"' EXIT

if [ $# -eq 0 ]; then
	echo "usage: make test-majors PG_CONFIGS=\"/path/to/pg_config ...\"" >&2
	exit 2
fi

build()
{
	test/copy-sources.sh "$builds/$1"
	make -s -j2 -C "$builds/$1" with_llvm=no all
}

number=0
for PG_CONFIG in "$@"; do
	export PG_CONFIG
	version=$("$PG_CONFIG" --version) || exit
	"$PG_CONFIG" --configure | grep -q -- --enable-cassert && version="$version with assertions"
	number=$((number + 1))
	suite "$version: build" build $number
	cd "$builds/$number" || exit
	suite "$version: SQL" regress
	suite "$version: several sessions" test/t/run.sh
	suite "$version: several servers" test/servers/run.sh
	suite "$version: pgvector, SQL" pgvector_regress
	suite "$version: pgvector, crowds, standby, crashes, dumps" pgvector_suites
	suite "$version: races" test/with-cluster.sh test/index/isolation.sh
	suite "$version: standby, crashes, damaged and forged pages" index_suites 3 40 20
	suite "$version: index of format 2, SQL" with_format_2 index_regress
	suite "$version: index of format 2, races" with_format_2 index_races
	suite "$version: index of format 2, standby, crashes, pages" with_format_2 index_suites 2 20 5
	suite "$version: index of format 1, SQL" with_format_1 index_regress
	suite "$version: index of format 1, races" with_format_1 index_races
	suite "$version: index of format 1, standby, crashes, pages" with_format_1 index_suites 2 20 5
	cd "$top" || exit
done
suites_end
