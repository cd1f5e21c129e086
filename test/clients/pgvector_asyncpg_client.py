"""asyncpg asks the server what a parameter is, and sends it in pgvector's binary form once
it has a codec, as pgvector-python registers it (0.4.2, pgvector/asyncpg/register.py)."""
import asyncio

import asyncpg

from common import QUERY, as_real, equal, nearest, run, truth
from pgvector_common import (INSERTED, ITEMS, arrived, binary, definition, from_binary, is_served,
                             statements_to_fill, text)


async def checks():
    connection = await asyncpg.connect()

    async def rows(query, *parameters):
        return [tuple(record) for record in await connection.fetch(query, *parameters)]

    statement = nearest("$1", table="asyncpg_items")
    await connection.execute("CREATE TABLE asyncpg_items (id bigserial PRIMARY KEY, embedding vector(24))")
    await connection.execute("CREATE INDEX asyncpg_items_embedding ON asyncpg_items"
                             " USING engramk (embedding vector_cosine_ops)")
    equal(await connection.fetchval(definition("asyncpg_items_embedding")),
          "engramk (embedding vector_cosine_ops)", "the index")

    items = await rows(ITEMS)
    for id, embedding in items[:50]:
        await connection.execute("INSERT INTO asyncpg_items VALUES ($1, $2)", id, text(embedding))
    await connection.set_type_codec("vector", schema="public", encoder=binary, decoder=from_binary, format="binary")
    await connection.copy_records_to_table("asyncpg_items", records=items[50:])
    equal(await connection.fetchval(arrived("asyncpg_items")), INSERTED,
          "inserted as text and by binary COPY, every bit")
    for fill in statements_to_fill("asyncpg_items"):
        await connection.execute(fill)
    equal(await connection.fetchval("SELECT embedding FROM asyncpg_items WHERE id = 1"), as_real(items[0][1]),
          "a vector comes back as a list")

    equal(await rows(statement, QUERY), truth("cosine"), "nearest")
    is_served(await rows("EXPLAIN " + statement, QUERY), "asyncpg_items_embedding")


run(lambda: asyncio.run(checks()))
