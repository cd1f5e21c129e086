"""What the tests of pgvector's clients in Python share: the two forms of a vector, as
pgvector-python 0.4 sends them, and what the server says of an index."""
import struct

from common import check, equal, truth

INSERTED = 100
ITEMS = f"SELECT id, embedding::real[] FROM items WHERE id <= {INSERTED} ORDER BY id"


def text(vector):
    return "[" + ",".join(str(float(x)) for x in vector) + "]"


def binary(vector):
    """Dimensions and an unused number, of 16 bits each, then the elements."""
    return struct.pack(f">HH{len(vector)}f", len(vector), 0, *vector)


def from_binary(data):
    dimensions, _ = struct.unpack_from(">HH", data)
    return list(struct.unpack_from(f">{dimensions}f", data, 4))


def statements_to_fill(table):
    """The rows that the client has not inserted."""
    return (f"INSERT INTO {table} (id, embedding) SELECT id, embedding FROM items WHERE id > {INSERTED}",
            f"ANALYZE {table}")


def arrived(table):
    """Of what the client inserted, the rows with every bit of every element."""
    return f"SELECT count(*) FROM {table} AS t JOIN items AS i USING (id) WHERE t.embedding = i.embedding"


def definition(index):
    return f"SELECT substring(pg_get_indexdef('{index}'::regclass) FROM ' USING (.*)')"


def is_nearest(ids, kind="cosine"):
    equal(list(ids), [id for id, _ in truth(kind)], f"nearest, {kind}")


def is_served(plan, index):
    """The plan, as rows of text, of a statement as the client sent it."""
    plan = "\n".join(row[0] for row in plan)
    check(f"Index Scan using {index} on " in plan, f"{index}: serves the statement as it was sent", plan)
