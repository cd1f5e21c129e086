"""psycopg 3: a vector as text and in pgvector's binary form, with and without its type.

pgvector-python registers such dumpers and loaders (0.4.2, pgvector/psycopg/vector.py).
"""
import psycopg
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo

from common import GENERIC, QUERY, SCANS, as_real, equal, nearest, run, truth
from pgvector_common import (INSERTED, ITEMS, arrived, binary, definition, from_binary, is_served,
                             statements_to_fill, text)

METRICS = {"cosine": ("<=>", "vector_cosine_ops"), "inner_product": ("<#>", "vector_ip_ops"),
           "l2": ("<->", "vector_l2_ops")}


class Vector(list):
    pass


class TextDumper(Dumper):
    def dump(self, obj):
        return text(obj).encode()


class BinaryDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj):
        return binary(obj)


class BinaryLoader(Loader):
    format = Format.BINARY

    def load(self, data):
        return from_binary(data)


def register(connection):
    info = TypeInfo.fetch(connection, "vector")
    info.register(connection)
    for dumper in (TextDumper, BinaryDumper):
        connection.adapters.register_dumper(Vector, type(dumper.__name__, (dumper,), {"oid": info.oid}))
    connection.adapters.register_loader(info.oid, BinaryLoader)


class Client:
    def __init__(self):
        self.connection = psycopg.connect(autocommit=True)
        register(self.connection)

    def execute(self, query, *parameters, **options):
        return self.connection.execute(query, parameters, **options)

    def rows(self, query, *parameters, **options):
        return self.execute(query, *parameters, **options).fetchall()

    def value(self, query, *parameters):
        return self.execute(query, *parameters).fetchone()[0]

    def error(self, query, *parameters):
        try:
            self.execute(query, *parameters)
        except psycopg.Error as error:
            return error.diag.message_primary
        return None


def insert(client):
    client.execute("CREATE TABLE psycopg_items (id bigserial PRIMARY KEY, embedding vector(24))")
    items = client.rows(ITEMS)
    for id, embedding in items[:50]:
        client.execute("INSERT INTO psycopg_items VALUES (%s, %t)", id, Vector(embedding))
    with client.connection.cursor().copy("COPY psycopg_items FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["bigint", "vector"])
        for id, embedding in items[50:]:
            copy.write_row((id, Vector(embedding)))
    equal(client.value(arrived("psycopg_items")), INSERTED, "inserted as text and by binary COPY, every bit")
    for statement in statements_to_fill("psycopg_items"):
        client.execute(statement)
    (vector,), = client.rows("SELECT embedding FROM psycopg_items WHERE id = 1", binary=True)
    equal(vector, as_real(items[0][1]), "binary result")


def query(client):
    forms = (("%t", Vector(QUERY), "vector, text"), ("%b", Vector(QUERY), "vector, binary"),
             ("%s", text(QUERY), "text of no type"), ("%s::vector", QUERY, "list of floats, cast"))
    for name, (operator, opclass) in METRICS.items():
        index = f"psycopg_items_{name}"
        client.execute(f"CREATE INDEX {index} ON psycopg_items USING engramk (embedding {opclass})")
        for parameter, vector, form in forms:
            statement = nearest(parameter, operator, "psycopg_items")
            equal(client.rows(statement, vector, vector), truth(name), f"{form}, {name}")
            is_served(client.rows("EXPLAIN " + statement, vector, vector), index)
    equal(client.value(definition("psycopg_items_cosine")), "engramk (embedding vector_cosine_ops)", "the index")


def prepared(client):
    """Prepared by the driver, and planned for any parameter."""
    scans = SCANS.replace("items_embedding", "psycopg_items_cosine")
    statement = nearest("%b", table="psycopg_items")
    before, generic = client.value(scans), client.value(GENERIC)
    answers = [client.rows(statement, Vector(QUERY), Vector(QUERY), prepare=True) for _ in range(12)]
    equal(answers, [truth("cosine")] * 12, "prepared")
    equal(client.value(GENERIC) > generic, True, "prepared: planned for any parameter")
    equal(client.value(scans) - before, 12, "prepared: by the index each time")


def untyped(client):
    statement = nearest("%s", table="psycopg_items")
    equal(client.error(statement, QUERY, QUERY), "operator does not exist: vector <=> double precision[]",
          "list of floats without the cast: refused, as by pgvector alone")
    statement = nearest("%s::real[]", table="psycopg_items")
    plan = client.rows("EXPLAIN " + statement, QUERY, QUERY)
    equal([row for row in plan if "Index Scan" in row[0]], [], "real[]: the operator of engramk, and no index")
    equal([id for id, _ in client.rows(statement, QUERY, QUERY)], [id for id, _ in truth("cosine")], "real[]: nearest")


def main():
    client = Client()
    insert(client)
    query(client)
    prepared(client)
    untyped(client)


run(main)
