#!/bin/sh
# What goes wrong in production, at length: part of `make test-long`.
set -eu
cd "$(dirname "$0")"

./errors.sh 1000000
./cancel.sh 120000000
./reload.sh 100 120
./large.sh
./sqlsmith.sh 600
./valgrind.sh
