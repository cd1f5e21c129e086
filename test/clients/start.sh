#!/bin/sh
# Starts the test of one driver.  For run.sh, which sets NODE_TESTS, where
# the modules of npm are, and NODE_SKIPPED, why there are none.
set -eu

case $1 in
	*.py)
		# Debian's, which has Debian's drivers.
		exec /usr/bin/python3 -B "$1" ;;
	*.mjs)
		if [ -n "$NODE_SKIPPED" ]; then
			echo "1..0 # SKIP $NODE_SKIPPED"
			exit
		fi
		exec node "$NODE_TESTS/$(basename "$1")" ;;
	*.java)
		if [ -z "$JDBC_URL" ]; then
			echo "1..0 # SKIP JDBC has no Unix sockets, and this server nothing else"
			exit
		fi
		exec java -cp /usr/share/java/postgresql.jar "$1" ;;
esac
echo "$0: what is $1?" >&2
exit 2
