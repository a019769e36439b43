# pg_revops: PGXS, and targets that install what is missing (demo, check, check-matrix, bench)
EXTENSION    = pg_revops
EXTVERSION   = 1.0.1
MODULE_big   = pg_revops
PGFILEDESC   = "pg_revops - a sales team's real-time hub"

# the rooms, in floor order: their C and their share of the install script
ROOMS        = base event decay predicate calendar learn capture access score text moment analysis stage task assign attach board stream worker
OBJS         = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)) $(foreach r,$(ROOMS),$(sort $(wildcard src/$(r)/*.c))))
SQL_SHARES   = $(foreach r,$(ROOMS),$(sort $(wildcard src/$(r)/*.sql))) src/grants.sql src/policies.sql
PACK         = $(sort $(wildcard src/text/pack/*.json))
# an upgrade to this version ends with the starter pack as it is now; its script in upgrade/ need not repeat that
UPGRADES     = $(sort $(wildcard upgrade/$(EXTENSION)--*--*.sql))
PACKED       = $(filter %--$(EXTVERSION).sql,$(UPGRADES))
DATA_built   = $(EXTENSION)--$(EXTVERSION).sql $(notdir $(PACKED))
DATA         = $(filter-out $(PACKED),$(UPGRADES))

REGRESS      = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=pg_revops --encoding=UTF8 --no-locale
ISOLATION    = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --load-extension=pg_revops
TAP_TESTS    = 1
PROVE_TESTS  = test/t/*.pl

# vectorscan or hyperscan (libhs) and jansson: where pkg-config finds them, else where the compiler does
PKG_CONFIG  ?= pkg-config
LIBS_DIRS   := $(filter-out /usr/include,$(sort $(foreach l,libhs jansson,$(shell $(PKG_CONFIG) --variable=includedir $(l) 2>/dev/null))))
LIBS_LINK   := $(or $(shell $(PKG_CONFIG) --libs libhs jansson 2>/dev/null),-lhs -ljansson)

# Left out of -Wextra: what callbacks, tables that end in zeros, and PostgreSQL's own headers bring by the hundred. WERROR=-Werror: no other warning of
# gcc, or of the clang that makes the bitcode, is let pass (make check does so)
WARNINGS     = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers $(WERROR)
PG_CPPFLAGS  = -I$(CURDIR)/src $(LIBS_DIRS:%=-I%) $(WARNINGS)
# -Bsymbolic: a name of ours never resolves to one of the server's
SHLIB_LINK   = $(LIBS_LINK) -Wl,-Bsymbolic
EXTRA_CLEAN  = $(DATA_built) test/unit/predicate_test.o test/unit/predicate_test.so

include tools/tools.mk
include test/setup.mk

PG_CONFIG   ?= pg_config
PGXS        := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)
endif

$(EXTENSION)--$(EXTVERSION).sql: $(SQL_SHARES) $(PACK) src/text/pack.awk Makefile
	@printf '%s\n' '\echo Use "CREATE EXTENSION pg_revops" to load this file. \quit' > $@
	cat $(SQL_SHARES) >> $@
	@for f in $(PACK); do LC_ALL=C awk -v topic=$$(basename $$f .json) -f src/text/pack.awk $$f || exit 1; done >> $@
	@echo 'DROP FUNCTION revops.add_pack(text, text);' >> $@

$(notdir $(PACKED)): %.sql: upgrade/%.sql $(PACK) src/text/pack.sql src/text/pack.awk Makefile
	@cp $< $@
	@sed -n '/^CREATE FUNCTION revops.add_pack/,/^END \$$\$$;/p' src/text/pack.sql >> $@
	@echo 'DELETE FROM revops.intent_pack;' >> $@
	@for f in $(PACK); do LC_ALL=C awk -v topic=$$(basename $$f .json) -f src/text/pack.awk $$f || exit 1; done >> $@
	@echo 'DROP FUNCTION revops.add_pack(text, text);' >> $@

$(OBJS): $(wildcard src/*.h src/*/*.h)
