"""psycopg 3: a list of floats is double precision[], one of integers smallint[]
or wider; so $1::real[]."""
import json

import numpy
import psycopg
from psycopg.types.composite import CompositeInfo, register_composite

from common import (ARRIVED, DOMAIN_SCANS, GENERIC, INTEGERS, OPERATORS, QUERY, REFUSED, SCANS,
                    as_real, check, equal, nearest, of_tenants, run, truth)


def main():
    connection = psycopg.connect(autocommit=True)
    execute = connection.execute

    def value(query, *parameters):
        return execute(query, parameters).fetchone()[0]

    def rows(query, *parameters, **options):
        return execute(query, parameters, **options).fetchall()

    def refused(query, *parameters):
        try:
            execute(query, parameters)
        except psycopg.Error as error:
            return error
        return None

    # queries
    for name, operator in OPERATORS.items():
        before = value(SCANS)
        equal(rows(nearest("%s::real[]", operator), QUERY, QUERY), truth(name), f"list of floats, {name}")
        equal(value(SCANS) - before, 1, f"list of floats, {name}: by the index")
    error = refused(nearest("%s"), QUERY, QUERY)
    equal((error.sqlstate, error.diag.message_primary), ("42883", REFUSED), "list of floats without the cast: refused")
    before = value(SCANS)
    equal(rows(nearest("%s"), INTEGERS, INTEGERS), truth("integers"), "list of integers without the cast")
    equal(rows(nearest("%s::real[]"), INTEGERS, INTEGERS), truth("integers"), "list of integers")
    equal(rows(nearest("%b::real[]"), QUERY, QUERY), truth("cosine"), "list of floats, binary parameter")
    equal(rows(nearest("%s::real[]"), QUERY, QUERY, binary=True), truth("cosine"), "list of floats, binary result")
    literal = "{%s}" % ",".join(map(str, QUERY))
    equal(rows(nearest("%s"), literal, literal), truth("cosine"), "array literal as a string")
    json_text = "translate(%s, '[]', '{}')::real[]"
    equal(rows(nearest(json_text), json.dumps(QUERY), json.dumps(QUERY)), truth("cosine"), "JSON text")
    equal(value(SCANS) - before, 6, "all of these: by the index")
    equal(value("SELECT embedding <=> %s::real[] FROM items WHERE id = 1", None), None, "NULL gives NULL")
    error = refused(nearest("%s::real[]"), [1.0, 2.0], [1.0, 2.0])
    equal((error.sqlstate, error.diag.message_primary), ("22000", "different vector dimensions 24 and 2"), "another length: refused")

    # filter columns: integers are smallint, and wider where they must be
    execute("SET enable_seqscan = off")
    for kind, condition, tenants in (("tenant", "tenant_id = %s", 7), ("tenants", "tenant_id = ANY(%s)", [3, 7])):
        query = of_tenants(condition)
        equal(rows(query, QUERY, tenants), truth(kind), f"filter column, {condition}")
        check("Index Cond" in str(value("EXPLAIN (FORMAT JSON) " + query, QUERY, tenants)), f"{condition}: by the index")
    query = of_tenants("tenant_id = %s")
    equal(rows(query, QUERY, 7.0), truth("tenant"), "filter column, a float")
    check("Index Cond" not in str(value("EXPLAIN (FORMAT JSON) " + query, QUERY, 7.0)), "which the index cannot compare")
    execute("RESET enable_seqscan")

    # prepared statements, and the plan for any parameter
    before, generic = value(SCANS), value(GENERIC)
    answers = [rows(nearest("%s::real[]"), QUERY, QUERY, prepare=True) for _ in range(12)]
    equal(answers, [truth("cosine")] * 12, "prepared")
    check(value(GENERIC) > generic, "prepared: planned for any parameter")
    equal(value(SCANS) - before, 12, "prepared: by the index each time")

    # rows in and out
    items = rows("SELECT id, embedding FROM items")
    equal(rows("SELECT embedding FROM items ORDER BY id LIMIT 5", binary=True),
          [(as_real(vector),) for _, vector in items[:5]], "text and binary results hold the same")
    execute("TRUNCATE added")
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO added VALUES (%s, %s)", items[:300])
    equal(value(ARRIVED), 300, "INSERT")
    execute("TRUNCATE added")
    with connection.cursor().copy("COPY added FROM STDIN") as copy:
        for row in items:
            copy.write_row(row)
    equal(value(ARRIVED), 3000, "COPY, text")
    execute("TRUNCATE added")
    with connection.cursor().copy("COPY added FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["bigint", "real[]"])
        for row in items:
            copy.write_row(row)
    equal(value(ARRIVED), 3000, "COPY, binary")
    with connection.cursor().copy("COPY (SELECT id, embedding FROM items) TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["bigint", "real[]"])
        equal([(id, vector) for id, vector in copy.rows()], [(id, as_real(vector)) for id, vector in items], "COPY out, binary")
    execute("INSERT INTO added VALUES (%s, %s)", (-1, None))
    equal(value("SELECT embedding FROM added WHERE id = -1"), None, "NULL in and out")

    # numpy
    array = numpy.array(QUERY, dtype=numpy.float32)
    equal(rows(nearest("%s::real[]"), array.tolist(), array.tolist()), truth("cosine"), "numpy: tolist() as parameter")
    check("cannot adapt type 'ndarray'" in str(refused(nearest("%s::real[]"), array, array)),
          "numpy: the array itself is refused by the driver")
    execute("TRUNCATE added")
    with connection.cursor().copy("COPY added FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["bigint", "real[]"])
        for id, vector in items:
            copy.write_row((id, numpy.array(vector, dtype=numpy.float32).tolist()))
    equal(value(ARRIVED), 3000, "numpy: there and back")

    # engram_match[]
    matches = "SELECT engram_nearest(id, embedding, %s::real[], 10) FROM items"
    unnested = "SELECT m.query, m.id, m.distance FROM unnest((" + matches + ")) AS m"
    wanted = [(1, *pair) for pair in truth("cosine")]
    equal(rows(unnested, QUERY), wanted, "engram_match[]: unnest")
    check(value(matches, QUERY).startswith('{"(1,'), "engram_match[]: a string, unless registered")
    register_composite(CompositeInfo.fetch(connection, "engram_match"), connection)
    equal([(m.query, m.id, m.distance) for m in value(matches, QUERY)], wanted, "engram_match[]: registered")

    # a column whose type is a domain
    before = value(DOMAIN_SCANS)
    equal(rows(nearest("%s::real[]", table="domain_items"), QUERY, QUERY), truth("cosine"), "domain")
    equal(value(DOMAIN_SCANS) - before, 1, "domain: by the index")
    error = refused(nearest("%s", table="domain_items"), QUERY, QUERY)
    equal(error.diag.message_primary, REFUSED.replace("real[]", "vector24"), "domain, without the cast: refused")
    with connection.transaction(force_rollback=True):
        execute("INSERT INTO domain_items VALUES (%s, %s)", (-1, QUERY))
        equal(value("SELECT embedding FROM domain_items WHERE id = -1"), QUERY, "domain: in and out")
    equal(refused("INSERT INTO domain_items VALUES (%s, %s)", -1, QUERY[1:]).sqlstate, "23514", "domain: another length refused")


run(main)
