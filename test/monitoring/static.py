#!/usr/bin/env python3
"""Checks the files in docs/monitoring against each other, without a server."""
import sys

import files

failures = 0


def check(what, wrong):
    """Prints one line; `wrong` is empty if all is well."""
    global failures
    if wrong:
        failures += 1
    print("%s - %s%s" % ("not ok" if wrong else "ok", what, ": %s" % wrong if wrong else ""))


def alerts_without(kind):
    """Alerts without a test case that fires, or without one that stays silent."""
    tested = {case["alertname"]
              for test in files.load(files.TESTS / "rules_test.yml")["tests"]
              for case in test.get("alert_rule_test", [])
              if bool(case["exp_alerts"]) == (kind == "fires")}
    return sorted({rule["alert"] for rule in files.rules() if "alert" in rule} - tested)


def overlapping_panels():
    taken = {}
    for panel in files.dashboard()["panels"]:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                taken.setdefault((x, y), set()).add(panel["title"])
    return sorted({str(sorted(titles)) for place, titles in taken.items() if len(titles) > 1 or place[0] >= 24})


def panels_without(*keys):
    return [panel.get("title", panel.get("id")) for panel in files.dashboard()["panels"]
            if not all(panel.get(key) for key in keys)]


def main():
    served = files.names_served()
    recorded = {rule["record"] for rule in files.rules() if "record" in rule}
    readme = (files.DOCS / "README.md").read_text(encoding="utf-8")
    postgres, sql = files.postgres_exporter_queries(), files.sql_exporter_queries()
    ids = [panel["id"] for panel in files.dashboard()["panels"]]

    check("both exporters have the same queries",
          sorted(name for name in postgres.keys() | sql.keys() if postgres.get(name) != sql.get(name)))
    check("what rules and panels name is served or recorded",
          sorted(files.names_used() - served - recorded - {"up", "sql_exporter_last_scrape_failed"}))
    check("what is served is in a rule or a panel", sorted(served - files.names_used()))
    check("each alert has a test in which it fires", alerts_without("fires"))
    check("each alert has a test in which it stays silent", alerts_without("stays silent"))
    check("each metric is in README.md", sorted(name for name in served if "`%s`" % name not in readme))
    check("each alert is in README.md",
          sorted(rule["alert"] for rule in files.rules() if "alert" in rule and "`%s`" % rule["alert"] not in readme))
    check("each alert has a severity, a summary and a description",
          [rule["alert"] for rule in files.rules() if "alert" in rule
           and not (rule["labels"]["severity"] and rule["annotations"]["summary"] and rule["annotations"]["description"])])
    check("each panel has a title, a description, a unit and expressions",
          panels_without("id", "title", "description", "type", "targets", "gridPos")
          + [panel["title"] for panel in files.dashboard()["panels"] if not panel["fieldConfig"]["defaults"]["unit"]])
    check("panels have ids of their own", sorted({i for i in ids if ids.count(i) > 1}))
    check("panels do not overlap", overlapping_panels())
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
