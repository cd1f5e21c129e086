#!/bin/sh
# Protects: a user without privileges cannot put an object of theirs in the
# place of ours, reset the statistics, see other sessions, or undo an emergency
# "off".
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

make_server hostile
start_server
sql "CREATE ROLE mallory LOGIN; CREATE ROLE owner LOGIN; GRANT CREATE ON SCHEMA public TO mallory"
as()
{
	PGUSER=$1 session
}

# Objects of our names, there first.
for object in \
	"FUNCTION engram_cosine(a real[], b real[]) RETURNS double precision LANGUAGE sql AS 'SELECT 0::float8'" \
	"OPERATOR <=> (LEFTARG = real[], RIGHTARG = real[], FUNCTION = array_eq)" \
	"VIEW engram_stat_kernels AS SELECT 1 AS calls" \
	"FUNCTION engram_stat_reset() RETURNS void LANGUAGE sql AS ''"; do
	case $object in
		OPERATOR*)
			echo "CREATE FUNCTION theirs(real[], real[]) RETURNS double precision LANGUAGE sql AS 'SELECT 0::float8';
				CREATE OPERATOR <=> (LEFTARG = real[], RIGHTARG = real[], FUNCTION = theirs)" | as mallory
			drop="DROP OPERATOR <=> (real[], real[]); DROP FUNCTION theirs" ;;
		FUNCTION*)
			echo "CREATE $object" | as mallory
			drop="DROP FUNCTION $(echo "$object" | sed 's/^FUNCTION \([a-z_]*\).*/\1/')" ;;
		*)
			echo "CREATE $object" | as mallory
			drop="DROP VIEW engram_stat_kernels" ;;
	esac
	is "CREATE EXTENSION does not adopt a foreign $(echo "$object" | cut -d'(' -f1)" \
		"$(sql 'CREATE EXTENSION engramk' 2>&1 | grep -c 'already exists'; sql 'SELECT count(*) FROM pg_extension WHERE extname = '\''engramk'\''')" \
		"$(printf '%s\n' 1 0)"
	sql "$drop"
done
sql "CREATE EXTENSION engramk VERSION '1.0'"
echo "CREATE VIEW engram_stat_arena AS SELECT 1 AS resets" | as mallory
is "nor does an update, which leaves the old version whole" \
	"$(sql 'ALTER EXTENSION engramk UPDATE' 2>&1 | grep -c 'already exists'; sql 'SELECT extversion FROM pg_extension WHERE extname = '\''engramk'\''')" \
	"$(printf '%s\n' 1 1.0)"
sql "DROP VIEW engram_stat_arena; DROP EXTENSION engramk"

# A search_path that finds the foreign first, and shadows what the scripts use.
echo "CREATE SCHEMA trap; GRANT ALL ON SCHEMA trap TO mallory" | session
echo "CREATE TABLE trap.pg_stat_activity (pid integer, datname name, usename name, state text);
	CREATE FUNCTION trap.engram_stat_get_backends() RETURNS TABLE (pid integer, level text, version text) LANGUAGE sql AS 'SELECT 666, NULL, NULL';
	CREATE FUNCTION trap.engram_cosine_distance(real[], real[]) RETURNS float8 LANGUAGE sql AS 'SELECT 666::float8';
	CREATE TYPE trap.text AS ENUM ('x')" | as mallory
is "created under a hostile search_path, the objects are the true ones" "$(session <<-SQL
	SET search_path = trap, public, pg_catalog;
	CREATE EXTENSION engramk SCHEMA public;
	SELECT count(*) FROM pg_depend AS d JOIN pg_extension AS e ON d.refobjid = e.oid AND e.extname = 'engramk'
		WHERE d.deptype = 'e' AND pg_describe_object(d.classid, d.objid, d.objsubid) LIKE '%trap%';
	SELECT count(*) FROM pg_depend AS d JOIN pg_extension AS e ON d.refobjid = e.oid AND e.extname = 'engramk'
		JOIN pg_depend AS of ON of.classid = d.classid AND of.objid = d.objid AND of.refclassid <> 'pg_extension'::regclass
		WHERE d.deptype = 'e' AND pg_describe_object(of.refclassid, of.refobjid, of.refobjsubid) LIKE '%trap%';
	SELECT count(*) FROM public.engram_stat_backends WHERE pid = pg_backend_pid();
	SELECT '{3,4}'::real[] OPERATOR(public.<=>) '{3,4}';
SQL
)" "$(printf '%s\n' 0 0 1 0)"

# What is not for everybody.
is "a plain user can neither reset nor see the other sessions, nor set what is the administrator's" "$(as mallory <<-SQL
	SELECT engram_norm('{1}');
	SELECT engram_stat_reset();
	SELECT count(*) FROM engram_stat_backends;
	SELECT count(*) FROM engram_stat_get_backends();
	SET engramk.simd = on;
	SET engramk.verify_rate = 1;
	SET engramk.track_timing = on;
	SELECT set_config('engramk.simd', 'on', false);
	CREATE FUNCTION mine() RETURNS float8 LANGUAGE sql SET engramk.simd = on AS 'SELECT engram_norm(''{1}'')';
	ALTER ROLE mallory SET engramk.simd = on;
	ALTER FUNCTION engram_stat_reset() SECURITY DEFINER;
	GRANT EXECUTE ON FUNCTION engram_stat_reset() TO mallory;
	SELECT sum(calls) >= 0 FROM engram_stat_kernels;
SQL
)" "$(echo 1; yes 'ERROR:  42501' | head -11; echo t)"

# The emergency switch holds, whatever the client says when it connects.
psql -X -q -o /dev/null -c "LOAD 'engramk'" -c "ALTER SYSTEM SET engramk.simd = off" -c "SELECT pg_reload_conf()"
wait_until "SELECT setting = 'off' FROM pg_file_settings AS f WHERE name = 'engramk.simd' AND seqno = (SELECT max(seqno) FROM pg_file_settings WHERE name = 'engramk.simd')"
level="SELECT engram_norm('{3,4}'); SELECT level FROM engram_simd_info() WHERE active"
is "off holds for a plain session" "$(echo "$level" | as mallory)" "$(printf '%s\n' 5 scalar)"
for options in '-c engramk.simd=on' '-c engramk.simd=avx2' '-c engramk.simd=nonsense' '-cengramk.simd=1' '--engramk.simd=on'; do
	is "off holds against PGOPTIONS='$options'" \
		"$(echo "$level" | PGOPTIONS=$options PGUSER=mallory psql -X -q -A -t 2>/dev/null)" "$(printf '%s\n' 5 scalar)"
done
is "off holds against SET before the library is loaded" "$(psql -U mallory -X -q -A -t 2>/dev/null <<-SQL
	SET engramk.simd = on;
	$level;
	RESET engramk.simd;
	RESET ALL;
	SELECT level FROM engram_simd_info() WHERE active;
	DISCARD ALL;
	SELECT level FROM engram_simd_info() WHERE active;
SQL
)" "$(printf '%s\n' 5 scalar scalar scalar)"
