#!/bin/sh
# Starts the test of one driver.  For run.sh, which sets NODE_TESTS, where the
# modules of npm are, or empty if npm does not reach its registry, and JDBC_URL.
set -eu

case $1 in
	*.py)
		# Debian's, which has Debian's drivers.
		exec /usr/bin/python3 -B "$1" ;;
	*.mjs)
		if [ -z "$NODE_TESTS" ]; then
			echo "1..0 # SKIP npm does not reach its registry"
			exit
		fi
		exec node "$NODE_TESTS/$(basename "$1")" ;;
	*.rb)
		exec ruby "$1" ;;
	*.java)
		exec java -cp /usr/share/java/postgresql.jar "$1" ;;
esac
echo "$0: what is $1?" >&2
exit 2
