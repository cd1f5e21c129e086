"""What the tests of the Python drivers share: checks in TAP, and the truth.

The truth is what psql found without an index (truth.sql).  Distances are
compared with ==: a driver that loses a bit of a double is found out.
"""
import os
import struct
import traceback

QUERY = [0.1, -0.27, 0.333, -0.45, 0.5, 0.61, -0.7, 0.8, -0.99, 1.1, 0.12, -0.13,
         0.14, 0.15, -0.16, 0.17, 0.18, -0.19, 0.2, 0.21, -0.22, 0.23, 0.24, 1e-3]
INTEGERS = [1, -2, 3, -4, 5, 6, -7, 8, -9, 1, 1, -1, 1, 1, -1, 1, 1, -1, 2, 2, -2, 2, 2, 300]
OPERATORS = {"cosine": "<=>", "inner_product": "<#>", "l2": "<->"}
REFUSED = "operator does not exist: real[] <=> double precision[]"
SCANS = "SELECT sum(scans)::bigint FROM engram_stat_indexes WHERE indexrelname = 'items_embedding'"
DOMAIN_SCANS = SCANS.replace("items_emb", "domain_items_emb")
# What came in as it was sent: every bit of every element.
ARRIVED = "SELECT count(*) FROM added AS a JOIN items AS i USING (id) WHERE a.embedding = i.embedding"
# Prepared by the driver, and planned for any parameter.
GENERIC = """SELECT coalesce(sum(generic_plans), 0)::bigint FROM pg_prepared_statements
             WHERE statement ~ 'ORDER BY' AND statement !~ 'pg_prepared'"""

_checks = 0


def truth(kind):
    """The ten neighbours of a kind, as (id, distance)."""
    with open(os.environ["TRUTH"]) as lines:
        rows = [line.split("|") for line in lines]
    return [(int(row[1]), float(row[2])) for row in rows if row[0] == kind]


def nearest(parameter, operator="<=>", table="items"):
    """The query that everybody writes, with what stands for its parameter, twice."""
    return (f"SELECT id, embedding {operator} {parameter} AS distance FROM {table} "
            f"ORDER BY embedding {operator} {parameter} LIMIT 10")


def of_tenants(condition):
    """The same of some tenants.  Its first parameter is the vector."""
    return f"SELECT id, embedding <=> %s::real[] AS distance FROM tenant_items WHERE {condition} ORDER BY distance LIMIT 10"


def as_real(vector):
    """The same numbers, rounded to real."""
    form = f"{len(vector)}f"
    return list(struct.unpack(form, struct.pack(form, *vector)))


def check(passed, name, *why):
    global _checks
    _checks += 1
    print(f"{'ok' if passed else 'not ok'} {_checks} - {name}", flush=True)
    if not passed:
        for line in "\n".join(map(str, why)).splitlines():
            print(f"# {line[:500]}", flush=True)


def equal(found, wanted, name):
    check(found == wanted, name, f"found {found!r}", f"wanted {wanted!r}")


def finish():
    print(f"1..{_checks}", flush=True)


def run(main):
    """Runs main, which makes the checks; what it raises is a failure."""
    try:
        main()
    except Exception:
        check(False, "no exception", traceback.format_exc())
    finish()
