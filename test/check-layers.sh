#!/bin/sh
# Proves that the two rooms are apart: simd/ knows nothing of PostgreSQL, and
# src/ knows of simd/ only its public header.  And that versions are complete:
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
if grep -nE '&ek_kernels_(scalar|avx2|avx512|neon)' simd/*.c src/*.[ch] | grep -v '^simd/ek_dispatch.c'; then
	complain "a level table is named outside simd/ek_dispatch.c"
fi

# src/ opens one door.
if XX; then
	complain "src/ includes more of simd/ than ek_simd.h"
fi
# arena and statistics do not know each other; engramk.c is included by nothing.
if grep -nE '#include "stats' src/arena.[ch]; then
	complain "the arena knows the statistics"
fi
if grep -nE '#include "arena' src/stats.[ch]; then
	complain "the statistics know the arena"
fi

# Every header is self-contained.
for header in simd/ek_simd.h simd/ek_level.h simd/ek_target.h; do
	$CC -Isimd -fsyntax-only -x c "$header" || complain "$header is not self-contained"
done

# Nothing but entry points is exported.
if [ -e engramk.so ]; then
	exported=$(nm -D --defined-only engramk.so | awk '{print $3}' |
		grep -vE '^(Pg_magic_func|_PG_init|(pg_finfo_)?ek_sql_[a-z0-9_]+)$' || true)
	[ -z "$exported" ] || complain "engramk.so exports $exported"
fi

# One base script, from which upgrades lead to the next version and no further,
# each with its way back.  A script that skips a version could make PostgreSQL
# go up by way of a downgrade, which takes users' grants and views.
base=$(find sql -name 'engramk--*.sql' | sed -nE 's|^sql/engramk--([0-9.]+)\.sql$|\1|p')
[ "$(echo "$base" | wc -w)" -eq 1 ] || complain "not one base script but: $base"
upgrades=$(find sql -maxdepth 1 -name 'engramk--*--*.sql' |
	sed -E 's|^sql/engramk--(.*)--(.*)\.sql$|\1 \2|' | sort -V)
downgrades=$(find sql -mindepth 2 -name '*.sql' |
	sed -E 's|^sql/downgrades/engramk--(.*)--(.*)\.sql$|\2 \1|' | sort -V)
[ "$upgrades" = "$downgrades" ] ||
	complain "not every upgrade has its downgrade: up $upgrades, down $downgrades"
version=$base
for step in $(echo "$upgrades" | tr ' ' '-'); do
	[ "${step%-*}" = "$version" ] || complain "after $version comes a script from ${step%-*} to ${step#*-}"
	version=${step#*-}
done

# What says its version says the same.
[ "$(sed -nE "s/^default_version = '(.*)'/\1/p" engramk.control)" = "$version" ] ||
	complain "engramk.control does not say $version"
[ "$(sed -nE 's/^#define EK_VERSION_NUM[[:space:]]+([0-9]+)$/\1/p' src/base/stats.h)" = \
	"$(echo "$version" | awk -F. '{printf "%d", $1 * 10000 + $2 * 100}')" ] ||
	complain "src/base/stats.h does not say $version"
[ "$(grep -cE "\"version\": \"$version\.[0-9]+\"" META.json)" -eq 2 ] ||
	complain "META.json does not say $version"
grep -qE "^## \[$version\.[0-9]+\]" CHANGELOG.md ||
	complain "CHANGELOG.md does not tell of $version"
exit $status
