#!/bin/sh
# Tests what docs/monitoring hands out: the rules by themselves, the files against
# each other, and all of it with Debian's Prometheus and exporters watching a
# throwaway server under load.
#
#	test/monitoring/run.sh
#
# Everything listens on 127.0.0.1 at ports of its own and is gone afterwards.
# The build must be up to date.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cd "$top"

quietly()
{
	output=$("$@" 2>&1) || {
		echo "$output" >&2
		return 1
	}
}

quietly promtool check rules docs/monitoring/*.rules.yml
quietly promtool check config docs/monitoring/prometheus.yml
quietly promtool test rules test/monitoring/rules_test.yml
python3 test/monitoring/static.py
test/with-cluster.sh python3 test/monitoring/live.py
