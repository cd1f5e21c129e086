#!/usr/bin/env python3
"""Watches a server under load with Prometheus and both exporters, as docs/monitoring says.

Runs inside test/with-cluster.sh.  Nothing is waited for by a fixed time: each
step polls until what it expects has happened, and fails after PATIENCE.
"""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import files

PATIENCE = 60   # seconds
PASSWORD = "scrape"


class Failure(Exception):
    """What was expected did not happen."""


def ok(what):
    print("ok - %s" % what, flush=True)


def poll(what, attempt):
    """Calls attempt() until it returns something true, and returns that.

    It returns or raises what is missing meanwhile: (False, details) or Failure.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            done, details = attempt()
        except (OSError, Failure) as problem:
            done, details = False, problem
        if done:
            ok(what)
            return
        if time.monotonic() > deadline:
            raise Failure("%s: %s" % (what, details))
        time.sleep(0.2)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def replaced(text, *changes):
    """A file's text with what is specific to a site changed; all of it must be there."""
    for old, new in changes:
        if old not in text:
            raise Failure("%r is not in the file" % old)
        text = text.replace(old, new)
    return text


def psql(sql, *options):
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *options], input=sql, check=False,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(done.stderr)
    return done.stdout.strip()


class Processes(contextlib.ExitStack):
    """Programs in the background, with a log each, that are stopped at the end."""

    def __init__(self, scratch):
        super().__init__()
        self.scratch = scratch

    def start(self, name, arguments, environment=None):
        log = self.enter_context(open(self.scratch / (name + ".log"), "w", encoding="utf-8"))
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        self.callback(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def logs(self):
        return "".join("--- %s\n%s" % (path.name, path.read_text(encoding="utf-8")[-3000:])
                       for path in sorted(self.scratch.glob("*.log")))


class Prometheus:
    """Its HTTP API."""

    def __init__(self, port):
        self.url = "http://127.0.0.1:%d" % port

    def get(self, path, **parameters):
        url = "%s/api/v1/%s?%s" % (self.url, path, urllib.parse.urlencode(parameters))
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as problem:
            raise Failure("%s: %s" % (parameters, problem.read().decode())) from problem

    def query(self, expression):
        return self.get("query", query=expression)["result"]

    def values(self, expression):
        """{instance: value}"""
        return {series["metric"]["instance"]: float(series["value"][1]) for series in self.query(expression)}

    def reload(self):
        request = urllib.request.Request(self.url + "/-/reload", method="POST")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def alerting(self, alert):
        """Instances for which an alert fires, or would after its `for`."""
        return {found["labels"].get("instance") for found in self.get("alerts")["alerts"]
                if found["labels"]["alertname"] == alert}


def prepare_server():
    psql("""
        CREATE EXTENSION engramk;
        SELECT FROM engram_simd_info();
        ALTER SYSTEM SET engramk.track_timing = on;
        ALTER SYSTEM SET engramk.verify_rate = 0.01;
        SELECT pg_reload_conf();
        CREATE TABLE items (id serial PRIMARY KEY, embedding real[] NOT NULL);
        INSERT INTO items (embedding)
            SELECT array_agg(sin(i * 131 + j)::real ORDER BY j)
            FROM generate_series(1, 200) AS i, generate_series(1, 64) AS j GROUP BY i;
        CREATE TABLE batches (candidates real[] NOT NULL);
        INSERT INTO batches SELECT array_agg(sin(i)::real ORDER BY i) FROM generate_series(1, 64 * 2000) AS i;
        GRANT SELECT ON items, batches TO PUBLIC;
        CREATE TABLE expired (id integer, embedding real[]) WITH (autovacuum_enabled = off);
        INSERT INTO expired SELECT i, ARRAY[sin(i), cos(i), 1] FROM generate_series(1, 24000) AS i;
        CREATE INDEX expired_embedding ON expired USING engramk (embedding);
        DELETE FROM expired WHERE id > 12000;
    """)
    psql("VACUUM expired")
    psql("", "-f", str(files.DOCS / "engramk_monitor.sql"))
    psql("ALTER ROLE engramk_monitor PASSWORD '%s'" % PASSWORD)
    check_definer()


def check_definer():
    """What runs as the superuser calls no function that somebody else put in the extension's schema."""
    psql("""
        GRANT CREATE ON SCHEMA public TO PUBLIC;
        CREATE ROLE mallory;
        SET ROLE mallory;
        CREATE FUNCTION public.format(text, name, name) RETURNS text LANGUAGE sql AS $$ SELECT current_user::text $$;
        CREATE FUNCTION public.engram_index_info(oid, OUT vectors bigint, OUT dead bigint)
            LANGUAGE sql AS $$ SELECT 6::bigint, 6::bigint $$;
        CREATE FUNCTION public.engram_index_slow_because(oid) RETURNS text[]
            LANGUAGE sql AS $$ SELECT ARRAY[current_user::text] $$;
    """)
    sizes = psql("SET ROLE engramk_monitor; SELECT index, vectors, dead FROM engramk_monitor_indexes()")
    if sizes != "public.expired_embedding|12000|12000":
        raise Failure("engramk_monitor_indexes calls what is not its own: %s" % sizes)
    ok("engramk_monitor_indexes calls no function of others")
    slow = "SET ROLE engramk_monitor; SELECT index, reason FROM engramk_monitor_slow_indexes()"
    if psql(slow) != "public.expired_embedding|holes":
        raise Failure("engramk_monitor_slow_indexes calls what is not its own: %s" % psql(slow))
    ok("nor does engramk_monitor_slow_indexes")
    back = "ALTER EXTENSION engramk UPDATE TO '1.5'"
    told = psql("BEGIN; DROP INDEX expired_embedding; %s; %s" % (back, slow))
    if told:
        raise Failure("engramk_monitor_slow_indexes of 1.5: %s" % told)
    ok("which says nothing under a version that does not tell")


def configure(scratch, targets, sql_exporter_connection):
    """The files of docs/monitoring, with the addresses of this test and a scrape every second."""
    for path in files.DOCS.glob("*.yml"):
        shutil.copy(path, scratch)
    (scratch / "prometheus.yml").write_text(replaced(
        (files.DOCS / "prometheus.yml").read_text(encoding="utf-8"),
        ("'localhost:9187', 'localhost:9237'", ", ".join("'%s'" % target for target in targets)),
        ("_interval: 15s", "_interval: 1s")), encoding="utf-8")
    (scratch / "sql_exporter.yml").write_text(replaced(
        (files.DOCS / "sql_exporter.yml").read_text(encoding="utf-8"),
        ("postgres://engramk_monitor@/postgres?host=/run/postgresql&sslmode=disable", sql_exporter_connection),
        ("interval: 15s", "interval: 1s")), encoding="utf-8")


def series_by_instance(prometheus):
    """{instance: {(name, labels)}} of all that the exporters serve of engramk."""
    found = {}
    for series in prometheus.query('{__name__=~"engramk_.+"}'):
        labels = series["metric"]
        found.setdefault(labels["instance"], set()).add(
            tuple(labels.get(label, "") for label in ("__name__", "operation", "level", "kind", "version", "datname", "index", "reason")))
    return found


def panel_expression(expression):
    """As Grafana sends it."""
    return expression.replace("$instance", ".*").replace("$__rate_interval", "1m")


def test(scratch, processes):
    ports = [free_port() for _ in range(3)]
    targets = ["127.0.0.1:%d" % port for port in ports]
    postgres_exporter, sql_exporter = targets[:2]
    prometheus = Prometheus(ports[2])
    connection = {"host": os.environ["PGHOST"], "port": os.environ.get("PGPORT", "5432"), "user": "engramk_monitor",
                  "password": PASSWORD, "dbname": os.environ.get("PGDATABASE", "postgres"), "sslmode": "disable"}
    # libpq's variables are the superuser's, and must not reach the exporters
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}

    prepare_server()
    configure(scratch, targets[:2], "postgres:///%s?%s" % (connection["dbname"], urllib.parse.urlencode(
        {name: value for name, value in connection.items() if name != "dbname"})))
    bindir = subprocess.run([os.environ.get("PG_CONFIG", "pg_config"), "--bindir"], check=True,
                            capture_output=True, text=True).stdout.strip()
    load = processes.start("pgbench", [
        bindir + "/pgbench", "-n", "-c", "4", "-R", "20", "-T", str(10 * PATIENCE), "-f", str(files.TESTS / "load.sql")])
    processes.start("prometheus", [
        "prometheus", "--config.file=%s/prometheus.yml" % scratch, "--storage.tsdb.path=%s/data" % scratch,
        "--web.listen-address=" + targets[2], "--web.enable-lifecycle"], environment)
    exporter = processes.start("postgres_exporter", [
        "prometheus-postgres-exporter", "--extend.query-path=%s/postgres_exporter.yml" % scratch,
        "--web.listen-address=" + postgres_exporter],
        {**environment, "DATA_SOURCE_NAME": " ".join("%s=%s" % pair for pair in connection.items())})
    processes.start("sql_exporter", [
        "prometheus-sql-exporter", "-config.file", "%s/sql_exporter.yml" % scratch,
        "-web.listen-address", sql_exporter], {**environment, "LOGLEVEL": "warn"})

    # what the site sets: baselines, and until when simd is planned to be off
    def missing(names):
        return sorted(name for name in names if not prometheus.query(name))

    baselines = {rule["record"] for rule in files.rules() if rule.get("record", "").endswith(":baseline")}

    def all_served():
        absent = missing(files.names_used() | files.names_served())
        return not absent, absent

    def figures():
        known = [set(prometheus.values("max by (instance) (%s)" % name.replace(":baseline", ":rate10m")))
                 for name in baselines]
        return all(instances == set(targets[:2]) for instances in known), known

    poll("the figures that a baseline is made of are recorded", figures)
    printed = subprocess.run([str(files.DOCS / "record-baseline"), "--window", "1m", prometheus.url],
                             check=True, capture_output=True, text=True).stdout
    (scratch / "engramk-baseline.rules.yml").write_text(printed, encoding="utf-8")
    subprocess.run(["promtool", "check", "rules", str(scratch / "engramk-baseline.rules.yml")],
                   check=True, capture_output=True)
    prometheus.reload()
    poll("record-baseline prints rules that promtool and Prometheus accept", lambda: (
        all(set(prometheus.values("max by (instance) (%s)" % name)) == set(targets[:2]) for name in baselines),
        [prometheus.query(name) for name in baselines]))
    poll("every metric that a rule or a panel names is there", all_served)

    def same_series():
        found = series_by_instance(prometheus)
        first, second = (found.get(target, set()) for target in targets[:2])
        return first and first == second, sorted(first ^ second)

    poll("both exporters give the same metrics with the same labels", same_series)

    busy = ["engramk_arena_overflows_total", "engramk_arena_overflow_bytes_total", "engramk_arena_high_water_bytes",
            'engramk_errors_total{kind="dimensions"}', "engramk_verify_checked_total", "engramk_stats_cluster_wide",
            "engramk_setting_track_timing", "engramk_setting_verify_rate"] + [
                'sum by (instance) (engramk_kernel_%s{operation="%s"})' % (value, operation)
                for value in ("calls_total", "candidates_total", "elements_total", "timed_elements_total",
                              "seconds_total", "slowest_seconds")
                for operation in psql("SELECT DISTINCT operation FROM engram_stat_kernels").split("\n")]
    poll("what the load does is counted, for each operation", lambda: (
        all(len(prometheus.values(expression + " > 0")) == 2 for expression in busy),
        [expression for expression in busy if len(prometheus.values(expression + " > 0")) != 2]))
    poll("every expression of a panel has a result", lambda: (
        all(prometheus.query(panel_expression(e)) for e in files.dashboard_expressions()),
        [e for e in files.dashboard_expressions() if not prometheus.query(panel_expression(e))]))

    def all_healthy():
        health = {rule["name"]: (rule["health"], rule.get("lastError"))
                  for group in prometheus.get("rules")["groups"] for rule in group["rules"]}
        return all(state == "ok" for state, _ in health.values()), health

    poll("every rule is evaluated without an error", all_healthy)
    poll("an arena that overflows is noticed", lambda: (
        prometheus.alerting("EngramkArenaOverflows") == set(targets[:2]), prometheus.get("alerts")))
    dead = "engramk_index_dead{index=\"public.expired_embedding\"}"
    poll("the dead entries of an index are those of engram_index_info", lambda: (
        list(prometheus.values(dead).values()) == [12000, 12000], prometheus.query(dead)))
    poll("an index that is bloated is noticed", lambda: (
        prometheus.alerting("EngramkIndexBloated") == set(targets[:2]), prometheus.get("alerts")))
    holes = "engramk_slow_indexes{index=\"public.expired_embedding\", reason=\"holes\"}"
    poll("why an index is slow is told", lambda: (
        list(prometheus.values(holes).values()) == [1, 1], prometheus.query("engramk_slow_indexes")))
    poll("an index that is slow is noticed", lambda: (
        prometheus.alerting("EngramkIndexSlow") == set(targets[:2]), prometheus.get("alerts")))
    psql("REINDEX INDEX expired_embedding")
    poll("and that it is no longer", lambda: (
        prometheus.alerting("EngramkIndexSlow") | prometheus.alerting("EngramkIndexBloated") == set(),
        prometheus.get("alerts")))
    for alert in ("EngramkDivergence", "EngramkSimdOff", "EngramkTargetMissing", "EngramkStatisticsNotShared"):
        if prometheus.alerting(alert):
            raise Failure("%s of a sound server" % alert)
    ok("a sound server does not raise the other alarms")

    psql("SELECT FROM engram_simd_info(); ALTER SYSTEM SET engramk.simd = off; SELECT pg_reload_conf();")
    poll("simd = off reaches the exporters' sessions", lambda: (
        list(prometheus.values("engramk_setting_simd_off").values()) == [1, 1],
        prometheus.query("engramk_setting_simd_off")))
    poll("simd = off is noticed", lambda: (
        prometheus.alerting("EngramkSimdOff") == set(targets[:2]), prometheus.get("alerts")))
    planned = (scratch / "engramk-planned.rules.yml")
    planned.write_text(replaced(files.DOCS.joinpath(planned.name).read_text(encoding="utf-8"),
                                ("localhost:9187", postgres_exporter), ("vector(0)", "vector(%d)" % (time.time() + 3600))),
                       encoding="utf-8")
    prometheus.reload()
    poll("where it is planned it is no alarm", lambda: (
        prometheus.alerting("EngramkSimdOff") == {sql_exporter}, prometheus.get("alerts")))
    psql("SELECT FROM engram_simd_info(); ALTER SYSTEM RESET engramk.simd; SELECT pg_reload_conf();")

    processes.stop(load)
    calls = float(psql("SELECT sum(calls) FROM engram_stat_kernels"))
    poll("the calls that Prometheus has counted are those of the views", lambda: (
        list(prometheus.values("sum by (instance) (engramk_kernel_calls_total)").values()) == [calls, calls],
        (calls, prometheus.query("sum by (instance) (engramk_kernel_calls_total)"))))

    psql("DROP EXTENSION engramk CASCADE")
    poll("a dropped extension is noticed", lambda: (
        prometheus.alerting("EngramkTargetMissing") == set(targets[:2]), prometheus.get("alerts")))
    psql("CREATE EXTENSION engramk")
    poll("its return is noticed", lambda: (
        prometheus.alerting("EngramkTargetMissing") == set(), prometheus.get("alerts")))
    processes.stop(exporter)
    poll("an exporter that is down is noticed", lambda: (
        prometheus.alerting("EngramkTargetMissing") == {postgres_exporter}, prometheus.get("alerts")))


def main():
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="engramk-monitoring."))
    try:
        with Processes(scratch) as processes:
            try:
                test(scratch, processes)
            except (Failure, subprocess.CalledProcessError) as problem:
                print("%s\nnot ok - %s" % (processes.logs(), problem), file=sys.stderr)
                return 1
    finally:
        shutil.rmtree(scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
