# make dist, release, next, indent, indent-check, typedefs, feeling: they need no server headers
TOOL_GOALS = dist release next indent indent-check typedefs feeling install-script

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

# the model of feeling that is shipped, trained in FEELING_DB, which has the extension as it is built now
feeling:
	perl src/text/feeling/feeling.pl -d '$(or $(FEELING_DB),postgres)' > src/text/feeling_model.h.new && mv src/text/feeling_model.h.new src/text/feeling_model.h

install-script: $(EXTENSION)--$(EXTVERSION).sql
