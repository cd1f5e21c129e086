"""What the tests of the monitoring need to know about the files in docs/monitoring."""
import json
import pathlib
import re

import yaml

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "monitoring"
TESTS = pathlib.Path(__file__).resolve().parent
RULE_FILES = sorted(DOCS.glob("*.rules.yml"))


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules():
    return [rule for path in RULE_FILES for group in load(path)["groups"] for rule in group["rules"]]


def dashboard():
    return json.loads((DOCS / "dashboard.json").read_text(encoding="utf-8"))


def dashboard_expressions():
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


def names_in(expression):
    """The metrics that a PromQL expression names."""
    without_strings = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"\b(?:engramk[_:][a-z0-9_:]+|sql_exporter_[a-z_]+|up)\b", without_strings))


def names_used():
    """The metrics that a rule or a panel names, and those that rules record."""
    names = {rule["record"] for rule in rules() if "record" in rule}
    for expression in [rule["expr"] for rule in rules()] + dashboard_expressions():
        names |= names_in(expression)
    return names


def postgres_exporter_queries():
    """{name: (SQL, labels, values)} of postgres_exporter.yml."""
    queries = {}
    for name, query in load(DOCS / "postgres_exporter.yml").items():
        columns = [next(iter(metric.items())) for metric in query["metrics"]]
        queries[name] = (query["query"],
                         [column for column, how in columns if how["usage"] == "LABEL"],
                         [column for column, how in columns if how["usage"] != "LABEL"])
    return queries


def sql_exporter_queries():
    """The same of sql_exporter.yml."""
    jobs = load(DOCS / "sql_exporter.yml")["jobs"]
    return {query["name"]: (query["query"], query.get("labels", []), query["values"])
            for job in jobs for query in job["queries"]}


def names_served():
    return {"%s_%s" % (name, value)
            for name, (_, _, values) in postgres_exporter_queries().items() for value in values}
