#!/bin/sh
# Shows what engramk does, with the vectors of 10,000 English words.
#
#	docs/demo/demo.sh
#
# Needs a PostgreSQL in which engramk can be created, as libpq's environment
# variables name it, and a superuser, since it switches engramk.simd; `make
# demo` provides both for as long as this runs.  All its tables are temporary.
set -eu
cd "$(dirname "$0")/../.."

gzip -dc test/data/glove100-10k.tsv.gz |
	psql -X -q -v ON_ERROR_STOP=1 -P pager=off -P footer=off -f docs/demo/demo.sql
