# What the system catalogs hold of engramk and engramk_pgvector, as text that can be
# compared: names instead of OIDs, sorted.
package Catalog;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(extension_catalog census difference_of);

# Every member, what belongs to it (row types, rules), its row, its columns,
# its privileges, its comments, and everything that depends on it.
my $extension_catalog = <<'SQL';
WITH RECURSIVE part (classid, objid) AS (
	SELECT 'pg_extension'::regclass::oid, oid FROM pg_extension WHERE extname LIKE 'engramk%'
	UNION
	SELECT d.classid, d.objid
	FROM part JOIN pg_depend AS d ON (d.refclassid, d.refobjid) = (part.classid, part.objid)
	WHERE d.deptype IN ('e', 'i')
), fact (line) AS (
	SELECT concat_ws(' | ', 'part', pg_describe_object(classid, objid, 0)) FROM part
	UNION ALL
	SELECT concat_ws(' | ', 'extension', to_jsonb(e) - '{oid,extowner,extnamespace}'::text[],
		extowner::regrole, extnamespace::regnamespace)
	FROM pg_extension AS e WHERE extname LIKE 'engramk%'
	UNION ALL
	SELECT concat_ws(' | ', 'function', p.oid::regprocedure,
		to_jsonb(p) - '{oid,proowner,pronamespace,prorettype,proargtypes}'::text[], prorettype::regtype, proowner::regrole, pronamespace::regnamespace)
	FROM part JOIN pg_proc AS p ON (classid, objid) = ('pg_proc'::regclass, p.oid)
	UNION ALL
	SELECT concat_ws(' | ', 'aggregate', aggfnoid::regprocedure, aggtransfn::regprocedure, aggfinalfn::regprocedure,
		to_jsonb(a) - '{aggfnoid,aggtranstype,aggmtranstype}'::text[], aggtranstype::regtype)
	FROM part JOIN pg_aggregate AS a ON (classid, objid) = ('pg_proc'::regclass, a.aggfnoid)
	UNION ALL
	SELECT concat_ws(' | ', 'type', t.oid::regtype, typtype, typrelid::regclass, typelem::regtype, typacl,
		typowner::regrole, typnamespace::regnamespace)
	FROM part JOIN pg_type AS t ON (classid, objid) = ('pg_type'::regclass, t.oid)
	UNION ALL
	SELECT concat_ws(' | ', 'operator', o.oid::regoperator, o.oprcom::regoperator, o.oprnegate::regoperator,
		to_jsonb(o) - '{oid,oprcom,oprnegate,oprowner,oprnamespace,oprleft,oprright}'::text[],
		oprowner::regrole, oprnamespace::regnamespace)
	FROM part JOIN pg_operator AS o ON (classid, objid) = ('pg_operator'::regclass, o.oid)
	UNION ALL
	SELECT concat_ws(' | ', 'access method', amname, amhandler::regproc, amtype)
	FROM part JOIN pg_am AS a ON (classid, objid) = ('pg_am'::regclass, a.oid)
	UNION ALL
	SELECT concat_ws(' | ', 'operator class', opcname, opcintype::regtype, opcdefault, opckeytype::regtype,
		opcowner::regrole, opcnamespace::regnamespace)
	FROM part JOIN pg_opclass AS c ON (classid, objid) = ('pg_opclass'::regclass, c.oid)
	UNION ALL
	SELECT concat_ws(' | ', 'operator family', opfname, opfowner::regrole, opfnamespace::regnamespace)
	FROM part JOIN pg_opfamily AS f ON (classid, objid) = ('pg_opfamily'::regclass, f.oid)
	UNION ALL
	SELECT concat_ws(' | ', 'operator of a family', f.opfname, o.amopstrategy, o.amopopr::regoperator, o.amoppurpose, s.opfname)
	FROM part JOIN pg_amop AS o ON (classid, objid) = ('pg_opfamily'::regclass, o.amopfamily)
		JOIN pg_opfamily AS f ON f.oid = o.amopfamily
		LEFT JOIN pg_opfamily AS s ON s.oid = o.amopsortfamily
	UNION ALL
	SELECT concat_ws(' | ', 'support function', f.opfname, amproclefttype::regtype, amprocrighttype::regtype, amprocnum,
		amproc::regprocedure)
	FROM part JOIN pg_amproc ON (classid, objid) = ('pg_opfamily'::regclass, amprocfamily)
		JOIN pg_opfamily AS f ON f.oid = amprocfamily
	UNION ALL
	SELECT concat_ws(' | ', 'relation', c.oid::regclass, relkind, relowner::regrole, relnamespace::regnamespace,
		relacl, reloptions, relam, pg_get_viewdef(c.oid))
	FROM part JOIN pg_class AS c ON (classid, objid) = ('pg_class'::regclass, c.oid)
	UNION ALL
	SELECT concat_ws(' | ', 'column', attrelid::regclass, attnum, attname, atttypid::regtype, attnotnull, attacl)
	FROM part JOIN pg_attribute ON (classid, objid) = ('pg_class'::regclass, attrelid)
	UNION ALL
	SELECT concat_ws(' | ', 'comment', pg_describe_object(classoid, c.objoid, objsubid), description)
	FROM part JOIN pg_description AS c ON (part.classid, part.objid) = (c.classoid, c.objoid)
	UNION ALL
	SELECT concat_ws(' | ', 'initial privileges', pg_describe_object(classoid, i.objoid, objsubid), privtype, initprivs)
	FROM part JOIN pg_init_privs AS i ON (part.classid, part.objid) = (i.classoid, i.objoid)
	UNION ALL
	SELECT concat_ws(' | ', 'role', pg_describe_object(s.classid, s.objid, objsubid), deptype, refobjid::regrole)
	FROM part JOIN pg_shdepend AS s USING (classid, objid)
	WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND refclassid = 'pg_authid'::regclass
	UNION ALL
	SELECT concat_ws(' | ', 'dependency', pg_describe_object(d.classid, d.objid, d.objsubid), d.deptype,
		pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid))
	FROM pg_depend AS d
	WHERE (d.classid, d.objid) IN (SELECT * FROM part) OR (d.refclassid, d.refobjid) IN (SELECT * FROM part)
	UNION ALL
	SELECT concat_ws(' | ', 'view', c.oid::regclass, pg_get_viewdef(c.oid), relacl)
	FROM pg_class AS c WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace
)
SELECT replace(line, E'\n', ' ') FROM fact ORDER BY line COLLATE "C"
SQL

sub extension_catalog
{
	my ($session) = @_;

	return [ split /\n/, $session->run($extension_catalog) ];
}

# The number of rows in each catalog that says what exists in this database.
# Statistics are not among them, since ANALYZE may run at any time.
sub census
{
	my ($session) = @_;
	my @catalogs = split /\n/, $session->run(<<'SQL');
SELECT relname FROM pg_class
WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND NOT relisshared AND relname NOT LIKE 'pg\_statistic%'
ORDER BY relname
SQL
	my $counts = join ' UNION ALL ',
	  map { "SELECT '$_: ' || count(*) FROM pg_catalog.$_" } @catalogs;
	$counts .= " UNION ALL SELECT 'pg_shdepend: ' || count(*) FROM pg_shdepend, pg_database"
	  . ' WHERE dbid = pg_database.oid AND datname = current_database()';

	return [ split /\n/, $session->run($counts) ];
}

# The lines that only one of the two has.
sub difference_of
{
	my ($before, $after) = @_;
	my %count;

	$count{$_}-- foreach @$before;
	$count{$_}++ foreach @$after;
	return map { ($count{$_} > 0 ? '+ ' : '- ') . $_ } grep { $count{$_} != 0 } sort keys %count;
}

1;
