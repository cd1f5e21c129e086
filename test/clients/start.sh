#!/bin/sh
# Starts the test of one driver.  For run.sh, which sets NODE_TESTS, where the
# modules of npm are, and JDBC_URL; both are empty if there is no such thing.
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
	*.java)
		if [ -z "$JDBC_URL" ]; then
			echo "1..0 # SKIP JDBC has no Unix sockets, and this server has nothing else"
			exit
		fi
		exec java -cp /usr/share/java/postgresql.jar "$1" ;;
esac
echo "$0: what is $1?" >&2
exit 2
