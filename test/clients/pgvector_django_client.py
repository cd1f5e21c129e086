"""Django.  The field, the distance and the parameters of the index are as
pgvector-python's (0.4.2, pgvector/django/vector.py, functions.py, indexes.py); the
index differs from its HnswIndex by the suffix."""
import os

import django
from django.conf import settings
from django.contrib.postgres.indexes import OpClass, PostgresIndex
from django.db import connection, models
from django.db.models.functions import Cast

from common import QUERY, equal, run
from pgvector_common import INSERTED, ITEMS, arrived, definition, is_nearest, is_served, statements_to_fill, text

settings.configure(INSTALLED_APPS=["django.contrib.postgres"], DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"]}})
django.setup()


class VectorField(models.Field):
    type_name = "vector"

    def __init__(self, *args, dimensions=None, **options):
        self.dimensions = dimensions
        super().__init__(*args, **options)

    def db_type(self, connection):
        return f"{self.type_name}({self.dimensions})"

    def get_prep_value(self, value):
        return text(value)


class HalfVectorField(VectorField):
    type_name = "halfvec"


class EngramIndex(PostgresIndex):
    suffix = "engramk"

    def __init__(self, *expressions, m=None, ef_construction=None, **options):
        given = {"m": m, "ef_construction": ef_construction}
        self.parameters = {name: value for name, value in given.items() if value is not None}
        super().__init__(*expressions, **options)

    def deconstruct(self):
        path, expressions, options = super().deconstruct()
        return path, expressions, {**options, **self.parameters}

    def get_with_params(self):
        return [f"{name} = {value:d}" for name, value in self.parameters.items()]


class CosineDistance(models.Func):
    function = ""
    arg_joiner = " <=> "
    output_field = models.FloatField()


class Item(models.Model):
    id = models.BigAutoField(primary_key=True)
    embedding = VectorField(dimensions=24)

    class Meta:
        app_label = "clients"
        db_table = "django_items"
        indexes = [
            EngramIndex(name="django_items_embedding", fields=["embedding"], m=16, ef_construction=64,
                        opclasses=["vector_cosine_ops"]),
            EngramIndex(OpClass(Cast("embedding", HalfVectorField(dimensions=24)), name="halfvec_cosine_ops"),
                        name="django_items_half"),
        ]


def value(query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def migrate():
    with connection.schema_editor() as editor:
        editor.create_model(Item)
    equal(value(definition("django_items_embedding")),
          "engramk (embedding vector_cosine_ops) WITH (m='16', ef_construction='64')", "the index")
    equal(value(definition("django_items_half")),
          "engramk (((embedding)::halfvec(24)) halfvec_cosine_ops)", "the index of half precision")


def fill():
    with connection.cursor() as cursor:
        cursor.execute(ITEMS)
        Item.objects.bulk_create(Item(id=id, embedding=embedding) for id, embedding in cursor.fetchall())
        equal(value(arrived("django_items")), INSERTED, "inserted, every bit of every element")
        for statement in statements_to_fill("django_items"):
            cursor.execute(statement)


def query(column, kind, index):
    nearest = Item.objects.order_by(CosineDistance(column, models.Value(text(QUERY))))[:10]
    is_nearest([item.id for item in nearest], kind)
    is_served([(line,) for line in nearest.explain().splitlines()], index)


def main():
    migrate()
    fill()
    query("embedding", "cosine", "django_items_embedding")
    query(Cast("embedding", HalfVectorField(dimensions=24)), "half_cosine", "django_items_half")


run(main)
