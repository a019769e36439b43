# make dist, release, next, indent, indent-check, typedefs: they need no server headers
TOOL_GOALS = dist release next indent indent-check typedefs install-script

.PHONY: $(TOOL_GOALS)

dist:
	@bash tools/dist.sh

release next:
	@bash tools/release.sh $@ $(VERSION)

indent:
	@bash tools/indent.sh

indent-check:
	@bash tools/indent.sh --check

typedefs:
	@bash tools/typedefs.sh

install-script: $(EXTENSION)--$(EXTVERSION).sql
