"""SQLAlchemy.  The type is as pgvector-python's (0.4.2, pgvector/sqlalchemy/vector.py),
which needs a newer one than Debian's; the index is SQLAlchemy's own.  Then the
statements of langchain-postgres, which it sends by SQLAlchemy."""
from sqlalchemy import BigInteger, Column, Float, Index, Text, create_engine, event, select
from sqlalchemy import text as statement
from sqlalchemy.orm import Session, declarative_base
from sqlalchemy.types import UserDefinedType

from common import QUERY, equal, run, truth
from pgvector_common import INSERTED, ITEMS, arrived, definition, is_nearest, is_served, statements_to_fill, text

DEFINITION = "engramk (embedding vector_cosine_ops) WITH (m='16', ef_construction='64')"


class VECTOR(UserDefinedType):
    cache_ok = True

    def __init__(self, dimensions):
        self.dimensions = dimensions

    def get_col_spec(self, **_):
        return f"VECTOR({self.dimensions})"

    def bind_processor(self, dialect):
        return text

    class Comparator(UserDefinedType.Comparator):
        def cosine_distance(self, other):
            return self.op("<=>", return_type=Float)(other)

    comparator_factory = Comparator


class Item(declarative_base()):
    __tablename__ = "sqlalchemy_items"
    id = Column(BigInteger, primary_key=True)
    embedding = Column(VECTOR(24))
    body = Column(Text)
    __table_args__ = (Index("sqlalchemy_items_embedding", embedding, postgresql_using="engramk",
                            postgresql_with={"m": 16, "ef_construction": 64},
                            postgresql_ops={"embedding": "vector_cosine_ops"}),)


def mapped(connection, sent):
    Item.metadata.create_all(connection)
    equal(connection.scalar(statement(definition("sqlalchemy_items_embedding"))), DEFINITION, "the index")
    with Session(connection) as session:
        session.add_all(Item(id=id, embedding=embedding) for id, embedding in connection.execute(statement(ITEMS)))
        session.flush()
        equal(connection.scalar(statement(arrived("sqlalchemy_items"))), INSERTED, "inserted, every bit")
        for fill in statements_to_fill("sqlalchemy_items"):
            connection.execute(statement(fill))
        is_nearest(session.scalars(select(Item.id).order_by(Item.embedding.cosine_distance(QUERY)).limit(10)))
        sql, parameters = sent[-1]
        is_served(connection.exec_driver_sql("EXPLAIN " + sql, parameters), "sqlalchemy_items_embedding")


def langchain(connection):
    """Of langchain-postgres 0.0.17: HNSWIndex(index_type="engramk") in
    v2/async_vectorstore.py, aapply_vector_index and __query_collection; the table is
    that of v2/engine.py."""
    execute = connection.execute
    execute(statement('CREATE TABLE "public"."langchain_python"('
                      '"langchain_id" UUID PRIMARY KEY DEFAULT gen_random_uuid(), '
                      '"content" TEXT NOT NULL, "embedding" vector(24) NOT NULL, "langchain_metadata" JSON)'))
    execute(statement("INSERT INTO langchain_python (content, embedding) SELECT id::text, embedding FROM items"))
    execute(statement('CREATE INDEX  "langchain_pythonlangchainvectorindex" ON "public"."langchain_python" '
                      'USING engramk (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64) ;'))
    execute(statement("ANALYZE langchain_python"))
    equal(connection.scalar(statement(definition("langchain_pythonlangchainvectorindex"))), DEFINITION,
          "LangChain: the index")
    execute(statement("SET LOCAL hnsw.ef_search = 40;"))
    search = ('SELECT "langchain_id", "content", "embedding", '
              'cosine_distance("embedding", :query_embedding) as distance '
              'FROM "public"."langchain_python"  ORDER BY "embedding" <=> :query_embedding LIMIT :dense_limit;')
    parameters = {"query_embedding": f"{QUERY}", "dense_limit": 10}
    equal([(int(row.content), row.distance) for row in execute(statement(search), parameters)], truth("cosine"),
          "LangChain: nearest")
    is_served(execute(statement("EXPLAIN " + search), parameters), "langchain_pythonlangchainvectorindex")


def main():
    engine = create_engine("postgresql+psycopg2://")
    sent = []

    @event.listens_for(engine, "before_cursor_execute")
    def keep(_, __, sql, parameters, *___):
        sent.append((sql, parameters))

    with engine.begin() as connection:
        mapped(connection, sent)
        langchain(connection)


run(main)
