#!/bin/sh
# Proves that the rooms are apart.  simd/ knows nothing of PostgreSQL, and src/
# knows of simd/ only its public header.  In src/, a room knows only those above
# it, and its files know each other in no circle.  And versions are complete:
# each can be reached from the one before and taken back to it.  Silent if so.
set -eu
cd "$(dirname "$0")/.."
CC=${CC:-cc}
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
status=0

complain()
{
	echo "check-layers: $*" >&2
	status=1
}

# simd/ compiles without PostgreSQL's headers ...
for source in simd/*.c; do
	$CC -O2 -ffp-contract=off -c -o "$objects/$(basename "$source").o" "$source" ||
		complain "$source does not compile on its own"
done
# ... and calls only itself and libc's memory and math functions.
foreign=$(nm -u "$objects"/*.o | awk '$1 == "U" && $2 !~ /^(ek_.*|mem(cmp|cpy|move|set)|sqrt|ldexpf?|fabs|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_)$/ {print $2}' | sort -u)
[ -z "$foreign" ] || complain "simd/ calls $foreign"

# Its files include the C library, intrinsics and each other, and nothing else.
if grep -nE '#include "' simd/*.[ch] | grep -vE '"ek_[a-z0-9]+\.h"'; then
	complain "simd/ includes from outside"
fi
# Only the dispatch file names level tables; level files do not know each other.
if grep -nrE '&ek_kernels_(scalar|avx2|avx512|neon)' simd src --include='*.[ch]' | grep -v '^simd/ek_dispatch.c'; then
	complain "a level table is named outside simd/ek_dispatch.c"
fi

# src/ opens one door.
if grep -nrE '#include "[./]*simd/' src --include='*.[ch]' | grep -v '"simd/ek_simd.h"'; then
	complain "src/ includes more of simd/ than ek_simd.h"
fi

# The rooms of src/, in order: each knows itself and those before it.  What
# stands at the top of src/ knows them all, and none knows it.
rooms="base vector nearest servers index"
# "FILE HEADER" for each include of one of our own headers, by room and name
includes=$(cd src && grep -noE '^#include "[a-z_]+(/[a-z_]+)?\.h"' -r . --include='*.[ch]' |
	sed -E 's|^\./([^:]*):[0-9]+:#include "(.*)"|\1 \2|' |
	while read -r file header; do
		[ ! -e "$header" ] || echo "$file $header"
	done)
above=
for room in $rooms; do
	above="$above $room"
	found=$(find src -mindepth 1 -maxdepth 1 -type d -name "$room")
	[ -n "$found" ] || complain "there is no room src/$room"
	echo "$includes" | grep "^$room/" | while read -r file header; do
		case " $above " in
			*" ${header%%/*} "*) ;;
			*) echo "$file knows $header" ;;
		esac
	done >"$objects/up"
	[ ! -s "$objects/up" ] || complain "an arrow goes up: $(cat "$objects/up")"
done
extra=$(find src -mindepth 1 -maxdepth 1 -type d -exec basename -a {} + | grep -vxE "$(echo "$rooms" | tr ' ' '|')" || true)
[ -z "$extra" ] || complain "this script does not know the room $extra"

# tsort names the files of a circle, a file being a .c with its .h.
echo "$includes" | sed -E 's/\.[ch]\b//g' | awk '$1 != $2' | tsort >/dev/null 2>"$objects/circle" ||
	complain "files know each other in a circle: $(cat "$objects/circle")"
# PGXS keeps what it knows of an object by its name alone.
twice=$(find src simd -name '*.c' -exec basename -a {} + | sort | uniq -d)
[ -z "$twice" ] || complain "two files are called $twice"
# Arena and statistics do not know each other.
if echo "$includes" | grep -E '^base/(arena\.[ch] base/stats\.h|stats\.[ch] base/arena\.h)$'; then
	complain "arena and statistics know each other"
fi

# Every header is self-contained; those of src/ after postgres.h, as everywhere.
for header in simd/ek_simd.h simd/ek_level.h simd/ek_target.h; do
	$CC -Isimd -fsyntax-only -x c "$header" || complain "$header is not self-contained"
done
server=$("${PG_CONFIG:-pg_config}" --includedir-server)
libpq=$("${PG_CONFIG:-pg_config}" --includedir)
for header in src/*/*.h; do
	$CC -I. -Isrc -isystem "$server" -isystem "$libpq" -D_GNU_SOURCE -include postgres.h -fsyntax-only -x c "$header" ||
		complain "$header is not self-contained"
done

# Nothing but entry points is exported.
if [ -e engramk.so ]; then
	exported=$(nm -D --defined-only engramk.so | awk '{print $3}' |
		grep -vE '^(Pg_magic_func|_PG_init|(pg_finfo_)?ek_sql_[a-z0-9_]+)$' || true)
	[ -z "$exported" ] || complain "engramk.so exports $exported"
fi

# check_versions EXTENSION: one base script, from which upgrades lead to the next
# version and no further, each with its way back, to the default version.  A script
# that skips a version could make PostgreSQL go up by way of a downgrade, which takes
# users' grants and views.  Sets version to the last.
check_versions()
{
	version=$(find sql -name "$1--*.sql" | sed -nE "s|^sql/$1--([0-9.]+)\.sql\$|\1|p")
	[ "$(echo "$version" | wc -w)" -eq 1 ] || complain "not one base script of $1 but: $version"
	upgrades=$(find sql -maxdepth 1 -name "$1--*--*.sql" |
		sed -E "s|^sql/$1--(.*)--(.*)\.sql\$|\1 \2|" | sort -V)
	downgrades=$(find sql -mindepth 2 -name "$1--*.sql" |
		sed -E "s|^sql/downgrades/$1--(.*)--(.*)\.sql\$|\2 \1|" | sort -V)
	[ "$upgrades" = "$downgrades" ] ||
		complain "not every upgrade of $1 has its downgrade: up $upgrades, down $downgrades"
	for step in $(echo "$upgrades" | tr ' ' '-'); do
		[ "${step%-*}" = "$version" ] || complain "after $1 $version comes a script from ${step%-*} to ${step#*-}"
		version=${step#*-}
	done
	grep -q "^default_version = '$version'\$" "$1.control" ||
		complain "$1.control does not say $version"
	sed -n "/^      \"$1\": {/,/}/p" META.json | grep -qE "\"version\": \"$version\.[0-9]+\"" ||
		complain "META.json does not say $version of $1"
}

check_versions engramk_pgvector
check_versions engramk
stray=$(find sql -name '*.sql' ! -name 'engramk--*' ! -name 'engramk_pgvector--*')
[ -z "$stray" ] || complain "scripts of no extension: $stray"

# What says the version of the whole says the same.
[ "$(sed -nE 's/^#define EK_VERSION_NUM[[:space:]]+([0-9]+)$/\1/p' src/base/stats.h)" = \
	"$(echo "$version" | awk -F. '{printf "%d", $1 * 10000 + $2 * 100}')" ] ||
	complain "src/base/stats.h does not say $version"
grep -qE "^   \"version\": \"$version\.[0-9]+\"" META.json ||
	complain "META.json does not say $version"
grep -qE "^## \[$version\.[0-9]+\]" CHANGELOG.md ||
	complain "CHANGELOG.md does not tell of $version"
release=$(sed -nE 's/^   "version": "(.*)",$/\1/p' META.json)
sed 1q debian/changelog | grep -qF "engramk ($release-" ||
	complain "debian/changelog does not begin with $release"
exit $status
