"""psycopg2 writes parameters into the statement: a list becomes ARRAY[0.1, ...],
which is numeric[], or integer[]; with NaN in it, double precision[]."""
import io
import json

import numpy
import psycopg2
import psycopg2.extras
from psycopg2.extensions import adapt, register_adapter

from common import (ARRIVED, DOMAIN_SCANS, INTEGERS, OPERATORS, QUERY, REFUSED, SCANS, check, equal, nearest,
                    run, truth)


def main():
    connection = psycopg2.connect("")
    connection.autocommit = True
    cursor = connection.cursor()

    def rows(query, *parameters):
        cursor.execute(query, parameters)
        return cursor.fetchall()

    def value(query, *parameters):
        return rows(query, *parameters)[0][0]

    def refused(query, *parameters):
        try:
            cursor.execute(query, parameters)
        except psycopg2.Error as error:
            return error
        return None

    # queries
    for name, operator in OPERATORS.items():
        before = value(SCANS)
        equal(rows(nearest("%s::real[]", operator), QUERY, QUERY), truth(name), f"list of floats, {name}")
        equal(value(SCANS) - before, 1, f"list of floats, {name}: by the index")
    before = value(SCANS)
    equal(rows(nearest("%s"), QUERY, QUERY), truth("cosine"), "list of floats without the cast")
    equal(rows(nearest("%s::real[]"), INTEGERS, INTEGERS), truth("integers"), "list of integers")
    equal(rows(nearest("%s"), INTEGERS, INTEGERS), truth("integers"), "list of integers without the cast")
    json_text = "translate(%s, '[]', '{}')::real[]"
    equal(rows(nearest(json_text), json.dumps(QUERY), json.dumps(QUERY)), truth("cosine"), "JSON text")
    equal(value(SCANS) - before, 4, "all of these: by the index")
    equal(value("SELECT embedding <=> %s::real[] FROM items WHERE id = 1", None), None, "NULL gives NULL")
    nans = [float("nan")] * 24
    error = refused(nearest("%s::real[]"), nans, nans)
    equal((error.pgcode, error.diag.message_primary), ("22003", "vector must not contain NaN or infinity"), "NaN: refused")
    error = refused(nearest("%s"), nans, nans)
    equal((error.pgcode, error.diag.message_primary), ("42883", REFUSED), "NaN without the cast: of double precision[]")

    # prepared statements, and the plan for any parameter
    before = value(SCANS)
    cursor.execute("PREPARE nearest (real[]) AS " + nearest("$1"))
    answers = [rows("EXECUTE nearest (%s)", QUERY) for _ in range(12)]
    equal(answers, [truth("cosine")] * 12, "prepared")
    check(value("SELECT generic_plans FROM pg_prepared_statements WHERE name = 'nearest'") > 0,
          "prepared: planned for any parameter")
    equal(value(SCANS) - before, 12, "prepared: by the index each time")

    # rows in and out
    items = rows("SELECT id, embedding FROM items")
    cursor.execute("TRUNCATE added")
    psycopg2.extras.execute_values(cursor, "INSERT INTO added VALUES %s", items)
    equal(value(ARRIVED), 3000, "INSERT, execute_values")
    cursor.execute("TRUNCATE added")
    lines = "".join(f"{id}\t{{{','.join(map(str, vector))}}}\n" for id, vector in items)
    cursor.copy_expert("COPY added FROM STDIN", io.StringIO(lines))
    equal(value(ARRIVED), 3000, "COPY, text")
    cursor.execute("INSERT INTO added VALUES (%s, %s)", (-1, None))
    equal(value("SELECT embedding FROM added WHERE id = -1"), None, "NULL in and out")

    # numpy
    array = numpy.array(QUERY, dtype=numpy.float32)
    check("can't adapt type 'numpy.ndarray'" in str(refused(nearest("%s::real[]"), array, array)),
          "numpy: the array itself is refused by the driver")
    register_adapter(numpy.ndarray, lambda array: adapt(array.tolist()))
    before = value(SCANS)
    equal(rows(nearest("%s::real[]"), array, array), truth("cosine"), "numpy: with an adapter")
    equal(value(SCANS) - before, 1, "numpy: by the index")
    cursor.execute("TRUNCATE added")
    arrays = [(id, numpy.array(vector, dtype=numpy.float32)) for id, vector in items]
    psycopg2.extras.execute_values(cursor, "INSERT INTO added VALUES %s", arrays)
    equal(value(ARRIVED), 3000, "numpy: there and back")

    # engram_match[]
    matches = "SELECT engram_nearest(id, embedding, %s::real[], 10) FROM items"
    unnested = "SELECT m.query, m.id, m.distance FROM unnest((" + matches + ")) AS m"
    wanted = [(1, *pair) for pair in truth("cosine")]
    equal(rows(unnested, QUERY), wanted, "engram_match[]: unnest")
    check(value(matches, QUERY).startswith('{"(1,'), "engram_match[]: a string, unless registered")
    psycopg2.extras.register_composite("engram_match", connection)
    equal([(m.query, m.id, m.distance) for m in value(matches, QUERY)], wanted, "engram_match[]: registered")

    # a column whose type is a domain
    before = value(DOMAIN_SCANS)
    equal(rows(nearest("%s::real[]", table="domain_items"), QUERY, QUERY), truth("cosine"), "domain")
    equal(value(DOMAIN_SCANS) - before, 1, "domain: by the index")
    equal(rows("INSERT INTO domain_items VALUES (%s, %s) RETURNING embedding", -1, QUERY), [(QUERY,)], "domain: in and out")
    cursor.execute("DELETE FROM domain_items WHERE id = -1")
    equal(refused("INSERT INTO domain_items VALUES (%s, %s)", -1, QUERY[1:]).pgcode, "23514", "domain: another length refused")


run(main)
