#!/bin/sh
# Static checks of the C sources and the shell scripts.  Silent when clean.
#
# gcc and clang (PostgreSQL's flags, -Wextra), clang-tidy, cppcheck and,
# for the scripts, shellcheck.
#
# LINT_BRIEFLY: without clang's static analyzer, which takes most of the time.
set -eu
cd "$(dirname "$0")/.."
PG_CONFIG=${PG_CONFIG:-pg_config}
warnings="-Wall -Wextra -Wmissing-prototypes -Wpointer-arith
	-Wdeclaration-after-statement -Wvla -Wendif-labels -Wformat-security
	-Werror"
sources=$(find simd src -name '*.c' | sort)
flags="-O2 -fno-strict-aliasing -fwrapv -ffp-contract=off -D_GNU_SOURCE -I. -Isrc
	-isystem $("$PG_CONFIG" --includedir-server) -isystem $("$PG_CONFIG" --includedir)"

# shellcheck disable=SC2086 # lists of flags are meant to be split
{
	for source in $sources; do
		gcc $warnings $flags -fsyntax-only "$source"
		clang $warnings $flags -fsyntax-only "$source"
	done
	clang-tidy --quiet ${LINT_BRIEFLY:+--checks=-clang-analyzer-*} $sources -- $flags 2>/dev/null
	cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr \
		--enable=warning,performance,portability \
		--suppress=missingIncludeSystem -I. -Isrc -Isimd $sources
}
shellcheck test/*.sh test/*/*.sh docs/demo/demo.sh bench/*.sh .ci/run
