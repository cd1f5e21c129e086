# Makefile for engramk
#
# The two commands of the README, which install what they need:
#	make demo		see it work
#	make test		see it proven
#
# For packagers and administrators, as with any PGXS extension:
#	make && make install		with PG_CONFIG=... for another PostgreSQL
#
# For whoever releases it: make dist, make packages (CONTRIBUTING.md)
# For whoever runs it: make drill (docs/rollback.md)
# For developers: make lint, bench, bench-check, format, test-long, test-majors, test-citus,
#	check-layers (CONTRIBUTING.md)

MODULE_big = engramk
EXTENSION = engramk engramk_pgvector
DATA = $(wildcard sql/engramk*--*.sql) $(wildcard sql/downgrades/engramk*--*.sql)

OBJS = $(patsubst %.c,%.o,$(sort $(wildcard simd/*.c src/*.c src/*/*.c)))

# Without contraction, or results would depend on the compiler.  PG_CPPFLAGS
# reaches the JIT's bitcode too; PG_CFLAGS would not.
PG_CPPFLAGS = -ffp-contract=off -I$(srcdir) -I$(srcdir)/src -I$(libpq_srcdir)
# Kernels that give wrong results on demand, to test what happens then.  Never
# in a build that is installed.
ifdef FAULT_INJECTION
PG_CPPFLAGS += -DEK_FAULT_INJECTION
endif
# PostgreSQL's own headers set off the two warnings; make lint has them on.
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare

# Only what PostgreSQL looks up is exported, and it binds to our own symbols.
SHLIB_LINK = $(libpq) -lm -Wl,-Bsymbolic -Wl,--version-script=src/engramk.map

REGRESS = $(sort $(notdir $(basename $(wildcard test/sql/*.sql))))
REGRESS_OPTS = --inputdir=test --load-extension=engramk

EXTRA_CLEAN = build

PG_CONFIG ?= pg_config
export PG_CONFIG
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)
endif

$(OBJS) $(OBJS:.o=.bc): $(wildcard simd/*.h src/*/*.h)

# A second make, because the first may have begun without PGXS.
.PHONY: demo test test-citus test-long test-majors bench bench-check drill
demo:
	@test/install-packages.sh demo
	@$(MAKE) --no-print-directory -s all
	@test/with-cluster.sh docs/demo/demo.sh
test:
	@test/install-packages.sh test
	@$(MAKE) --no-print-directory -s all
	@test/run.sh
test-citus:
	@test/install-packages.sh test
	@$(MAKE) --no-print-directory -s all
	@test/run-citus.sh
test-long: test
	@test/run-long.sh
test-majors:
	@test/install-packages.sh test
	@test/run-majors.sh $(PG_CONFIGS)
bench:
	@test/install-packages.sh bench
	@$(MAKE) --no-print-directory -s all
	@$(MAKE) --no-print-directory -C bench

bench-check:
	@test/install-packages.sh bench
	@bench/check.sh
drill:
	@test/install-packages.sh test
	@$(MAKE) --no-print-directory -s all
	@test/drill/run.sh

# For those who release it (CONTRIBUTING.md).  The zip is of what is committed; it
# holds local times, so of one time zone.
.PHONY: dist packages
RELEASE = $(shell sed -nE 's/^   "version": "(.*)",$$/\1/p' META.json)
dist:
	@mkdir -p build
	TZ=UTC git -c core.autocrlf=false archive --format=zip -9 --prefix=engramk-$(RELEASE)/ \
		--output=build/engramk-$(RELEASE).zip HEAD
packages:
	@test/install-packages.sh packages
	@test/packages/run.sh build/packages

.PHONY: lint check-layers format
lint:
	@test/lint.sh
check-layers:
	@test/check-layers.sh
format:
	clang-format -i simd/*.[ch] src/*.[ch] src/*/*.[ch]
