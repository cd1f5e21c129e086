# shellcheck shell=sh
# Runs suites of tests one after another, whatever becomes of each, and says at
# the end what became of them.  Scripts source it, call suite for each, and
# finish with suites_end, which is their exit status.
set -u

suites_passed=0
suites_failed=0
suites_table=$(mktemp /tmp/engramk.XXXXXX)
trap 'rm -f "$suites_table"' EXIT
trap 'exit 130' INT TERM

# suite NAME COMMAND [ARGUMENT]...
suite()
{
	name=$1
	shift
	echo "== $name"
	began=$(date +%s)
	if "$@"; then
		result=passed
		suites_passed=$((suites_passed + 1))
	else
		result=FAILED
		suites_failed=$((suites_failed + 1))
		echo "== FAILED: $name" >&2
	fi
	printf '%-84s %s %5d s\n' "$name" "$result" $(($(date +%s) - began)) >>"$suites_table"
}

suites_end()
{
	echo
	cat "$suites_table"
	echo "$suites_passed passed, $suites_failed failed"
	[ "$suites_failed" -eq 0 ]
}

# pg_regress, with the differences in the output.
regress()
{
	test/with-cluster.sh make -s installcheck || {
		cat regression.diffs
		return 1
	}
}
