#!/bin/sh
# In a clean root: installs the packages of /packages/newer, runs what they
# promise, and removes them.  Needs nothing else of the project.
#
#	installed.sh MAJOR
set -eu

major=$1
# the psql, pg_config and server of this major
export PGCLUSTER="$major/regress"

dpkg -i /packages/newer/postgresql-"$major"-engramk_*.deb /packages/newer/postgresql-"$major"-engramk-downgrades_*.deb \
	/packages/newer/engramk-doc_*.deb

cat >/tmp/use.sh <<'SH'
set -eux
psql -X -v ON_ERROR_STOP=1 <<'SQL'
CREATE EXTENSION engramk;
SELECT '{3,4}'::real[] <=> '{4,3}'::real[] AS distance;
-- every version can be reached, and taken back to
DO $$
DECLARE
    latest text;
BEGIN
    SELECT default_version INTO STRICT latest FROM pg_available_extensions WHERE name = 'engramk';
    ASSERT (SELECT extversion FROM pg_extension WHERE extname = 'engramk') = latest, 'another version was created';
    ALTER EXTENSION engramk UPDATE TO '1.0';
    ALTER EXTENSION engramk UPDATE;
    ASSERT (SELECT extversion FROM pg_extension WHERE extname = 'engramk') = latest, 'it is not back again';
    ASSERT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'engramk_pgvector'), 'no engramk_pgvector';
END
$$;
SELECT count(*) > 0 AS has_pgvector FROM pg_available_extensions WHERE name = 'vector' \gset
\if :has_pgvector
CREATE EXTENSION engramk_pgvector CASCADE;
DROP EXTENSION engramk_pgvector;
\endif
DROP EXTENSION engramk;
SQL
sh /usr/share/doc/engramk-doc/docs/demo/demo.sh
SH
pg_virtualenv -v "$major" sh /tmp/use.sh

dpkg --purge engramk-doc postgresql-"$major"-engramk postgresql-"$major"-engramk-downgrades
left=$(find / -xdev -name '*engramk*' ! -path '/packages/*' ! -path '/mnt/*')
if [ -n "$left" ]; then
	echo "this is left: $left"
	exit 1
fi
