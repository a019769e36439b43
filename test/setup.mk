# make check, check-matrix, check-upgrade, check-sanitize, bench, fuzz, soak, demo, demo-stop: they work before PostgreSQL's server headers are there, and
# install what is missing. PGXS has a check target of its own that only refuses, so PGXS is left out while one of these is made.
.DEFAULT_GOAL := all

SETUP_GOALS = setup check check-matrix check-upgrade check-sanitize bench fuzz sqlsmith soak demo demo-stop

.PHONY: $(SETUP_GOALS) help

ifneq ($(filter $(SETUP_GOALS),$(MAKECMDGOALS)),)
SETUP_PG_CONFIG := $(PG_CONFIG)
unexport MAKEFLAGS MAKELEVEL
override PG_CONFIG := :

setup:
	@PG_CONFIG='$(SETUP_PG_CONFIG)' bash test/setup.sh

check:
	@PG_CONFIG='$(SETUP_PG_CONFIG)' bash test/check.sh

check-matrix:
	@bash test/matrix/run.sh

check-upgrade:
	@bash test/upgrade/majors.sh

check-sanitize:
	@PG_CONFIG='$(SETUP_PG_CONFIG)' bash test/sanitize.sh

bench:
	@PG_CONFIG='$(SETUP_PG_CONFIG)' bash test/bench.sh

fuzz:
	@PG_CONFIG='$(or $(SETUP_PG_CONFIG),pg_config)' bash test/fuzz/run.sh

sqlsmith:
	@PG_CONFIG='$(SETUP_PG_CONFIG)' bash test/sqlsmith.sh

soak:
	@PG_CONFIG='$(SETUP_PG_CONFIG)' bash test/soak.sh

demo:
	@PG_CONFIG='$(SETUP_PG_CONFIG)' bash test/demo/demo.sh start

demo-stop:
	@bash test/demo/demo.sh stop
endif

help:
	@echo 'make demo          install what is missing, and play a small company into a throw-away cluster'
	@echo 'make demo-stop     stop that cluster and remove it'
	@echo 'make check         every test, in a throw-away cluster'
	@echo 'make check-matrix  them on PostgreSQL 17 and 18, with fewer random rounds'
	@echo 'make check-upgrade a database moves from PostgreSQL 15 to 17, 15 to 18 and 17 to 18, by pg_dump and by pg_upgrade'
	@echo 'make check-sanitize  the tests under AddressSanitizer and UBSan; VALGRIND=1: some under valgrind; CASSERT=1: all with assertions'
	@echo 'make bench         the measurements'
	@echo 'make fuzz          random bytes as rules, stored states, texts and documents, for FUZZ_SECONDS (600) each; needs clang with libFuzzer'
	@echo 'make sqlsmith      random queries as each role, for SQLSMITH_SECONDS (60) each; CASSERT=1: with assertions'
	@echo 'make soak          ordinary use for SOAK_MINUTES (30): no process may grow'
	@echo 'make setup         only install what is missing'
	@echo 'make indent        format the C code; make indent-check names the files that are not'
	@echo 'make feeling       train the shipped model of feeling anew, in the database FEELING_DB'
	@echo 'make dist          the PGXN archive; make release VERSION=..., make next VERSION=...: see docs/operations.md'
	@echo 'make, make install, make installcheck: as with every PGXS extension'

# without PGXS, say what to do instead of "nothing to be done"
ifeq ($(filter $(SETUP_GOALS) $(TOOL_GOALS) help,$(MAKECMDGOALS)),)
ifeq ($(wildcard $(shell $(or $(PG_CONFIG),pg_config) --pgxs 2>/dev/null)),)
all install installcheck uninstall clean:
	@echo "PostgreSQL's server headers are missing. As root: make setup" >&2; exit 1
.PHONY: all install installcheck uninstall clean
endif
endif
