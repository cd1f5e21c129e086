"""asyncpg asks the server what a parameter is and sends real[] in binary; a real
comes back as the double that it is, 0.10000000149011612 for 0.1."""
import asyncio
import io
import json

import asyncpg
import numpy

from common import (ARRIVED, DOMAIN_SCANS, GENERIC, INTEGERS, OPERATORS, QUERY, REFUSED, SCANS,
                    as_real, check, equal, nearest, run, truth)


async def checks():
    connection = await asyncpg.connect()
    value = connection.fetchval

    async def rows(query, *parameters):
        return [tuple(record) for record in await connection.fetch(query, *parameters)]

    async def refused(query, *parameters):
        try:
            await connection.fetch(query, *parameters)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return error
        return None

    # queries
    for name, operator in OPERATORS.items():
        before = await value(SCANS)
        equal(await rows(nearest("$1::real[]", operator), QUERY), truth(name), f"list of floats, {name}")
        equal(await value(SCANS) - before, 1, f"list of floats, {name}: by the index")
    before = await value(SCANS)
    equal(await rows(nearest("$1"), QUERY), truth("cosine"), "list of floats without the cast")
    equal(await rows(nearest("$1::real[]"), INTEGERS), truth("integers"), "list of integers")
    equal(await rows(nearest("$1::real[]"), tuple(QUERY)), truth("cosine"), "tuple of floats")
    json_text = "translate($1, '[]', '{}')::real[]"
    equal(await rows(nearest(json_text), json.dumps(QUERY)), truth("cosine"), "JSON text")
    equal(await value(SCANS) - before, 4, "all of these: by the index")
    equal(await value("SELECT embedding <=> $1::real[] FROM items WHERE id = 1", None), None, "NULL gives NULL")
    error = await refused(nearest("$1::double precision[]"), QUERY)
    equal((error.sqlstate, error.message), ("42883", REFUSED), "as double precision[]: refused")
    error = await refused(nearest("$1::real[]"), json.dumps(QUERY))
    check("a sized iterable container expected" in str(error), "a string as real[]: refused by the driver", error)

    # prepared statements, and the plan for any parameter
    before, generic = await value(SCANS), await value(GENERIC)
    statement = await connection.prepare(nearest("$1::real[]"))
    answers = [[tuple(record) for record in await statement.fetch(QUERY)] for _ in range(12)]
    equal(answers, [truth("cosine")] * 12, "prepared")
    check(await value(GENERIC) > generic, "prepared: planned for any parameter")
    equal(await value(SCANS) - before, 12, "prepared: by the index each time")

    # rows in and out
    items = await rows("SELECT id, embedding FROM items")
    await connection.execute("TRUNCATE added")
    await connection.executemany("INSERT INTO added VALUES ($1, $2)", items)
    equal(await value(ARRIVED), 3000, "INSERT, executemany")
    await connection.execute("TRUNCATE added")
    await connection.copy_records_to_table("added", records=items)
    equal(await value(ARRIVED), 3000, "COPY, binary")
    await connection.execute("TRUNCATE added")
    lines = "".join(f"{id}\t{{{','.join(map(str, vector))}}}\n" for id, vector in items)
    await connection.copy_to_table("added", source=io.BytesIO(lines.encode()))
    equal(await value(ARRIVED), 3000, "COPY, text")
    await connection.execute("INSERT INTO added VALUES ($1, $2)", -1, None)
    equal(await value("SELECT embedding FROM added WHERE id = -1"), None, "NULL in and out")

    # numpy
    array = numpy.array(QUERY, dtype=numpy.float32)
    before = await value(SCANS)
    equal(await rows(nearest("$1::real[]"), array), truth("cosine"), "numpy: the array as parameter")
    equal(await value(SCANS) - before, 1, "numpy: by the index")
    await connection.execute("TRUNCATE added")
    arrays = [(id, numpy.array(vector, dtype=numpy.float32)) for id, vector in items]
    await connection.copy_records_to_table("added", records=arrays)
    equal(await value(ARRIVED), 3000, "numpy: there and back")

    # engram_match[]
    matches = "SELECT engram_nearest(id, embedding, $1::real[], 10) FROM items"
    wanted = [(1, *pair) for pair in truth("cosine")]
    equal(await rows(f"SELECT m.query, m.id, m.distance FROM unnest(({matches})) AS m", QUERY), wanted,
          "engram_match[]: unnest")
    equal([(m["query"], m["id"], m["distance"]) for m in await value(matches, QUERY)], wanted,
          "engram_match[]: records")

    # a column whose type is a domain
    before = await value(DOMAIN_SCANS)
    equal(await rows(nearest("$1::real[]", table="domain_items"), QUERY), truth("cosine"), "domain")
    equal(await value(DOMAIN_SCANS) - before, 1, "domain: by the index")
    equal(await value("INSERT INTO domain_items VALUES ($1, $2) RETURNING embedding", -1, QUERY), as_real(QUERY),
          "domain: in and out")
    await connection.copy_records_to_table("domain_items", records=[(-2, array)])
    equal(await value("SELECT embedding FROM domain_items WHERE id = -2"), array.tolist(), "domain: COPY, binary")
    await connection.execute("DELETE FROM domain_items WHERE id < 0")
    equal((await refused("INSERT INTO domain_items VALUES ($1, $2)", -1, QUERY[1:])).sqlstate, "23514",
          "domain: another length refused")
    await connection.close()


run(lambda: asyncio.run(checks()))
