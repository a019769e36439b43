# make dist, release, next, indent, indent-check: they need no server headers
TOOL_GOALS = dist release next indent indent-check install-script

.PHONY: $(TOOL_GOALS)

dist:
	@bash tools/dist.sh

release next:
	@bash tools/release.sh $@ $(VERSION)

indent:
	@bash tools/indent.sh

indent-check:
	@bash tools/indent.sh --check

install-script: $(EXTENSION)--$(EXTVERSION).sql
