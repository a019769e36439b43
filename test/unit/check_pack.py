#!/usr/bin/env python3
"""Checks the starter pack of intents, src/text/pack/*.json: structure, uniqueness, patterns, examples.

    check_pack.py            one line for each fault, then a summary; exit status 1 if there is a fault
    check_pack.py --report   also which intents' patterns fire on the examples of others
    check_pack.py --docs     docs/intent_pack.md on standard output
    check_pack.py --lines    the patterns, tab-separated, for other tools: intent, number, lang, kind, include or exclude, pattern, near, within

What a pattern means is implemented here plainly. Texts are folded in case and in full and half width (simplified and traditional Chinese
are the server's). English patterns match at word borders. A near pattern matches where both words are within that many characters of each
other, in either order. An include counts unless an exclude overlaps it.
"""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PACK = os.path.join(HERE, "..", "..", "src", "text", "pack")

LEAST_INTENTS = 200
FIRST = 10
LANGS = ("zh", "en")
SIDES = ("customer", "rep")
KEYS = ("intent", "title", "title_zh", "description", "description_zh", "sides", "threshold", "first", "patterns", "examples")
OPTIONAL = ("first",)
KINDS = ("include", "exclude", "regex", "exclude_regex")
LEAST = {"positive": 3, "negative": 2}
MAX_PATTERN = 200
MAX_LINE = 240
MAX_REPEAT = 30
MAX_WITHIN = 60


def fold(text):
    """Lower case, half width; as many characters as before."""
    out = []
    for c in text:
        n = ord(c)
        c = chr(n - 0xFEE0) if 0xFF01 <= n <= 0xFF5E else " " if n == 0x3000 else c
        low = c.lower()
        out.append(low if len(low) == 1 else c)
    return "".join(out)


def bordered(source, lang):
    """A word's character on either side of a border of an English pattern keeps it from matching."""
    if lang != "en":
        return "(?:%s)" % source
    return "(?:(?<![a-z0-9_])|(?![a-z0-9_]))(?:%s)(?:(?![a-z0-9_])|(?<![a-z0-9_]))" % source


def spans_of(compiled, text):
    """The spans of a regular expression, from every start, longest branch first."""
    spans, at = [], 0
    while True:
        m = compiled.search(text, at)
        if not m:
            return spans
        spans.append(m.span())
        at = m.start() + 1


class Pattern:
    """One entry of "patterns", compiled."""

    def __init__(self, entry):
        self.lang = entry.get("lang")
        self.kind = next(k for k in KINDS if k in entry)
        self.source = entry[self.kind]
        self.exclude = self.kind.startswith("exclude")
        self.near = entry.get("near")
        self.within = entry.get("within")
        literal = self.kind in ("include", "exclude")
        self.regex = re.compile(bordered(re.escape(self.source) if literal else self.source, self.lang))
        self.near_regex = re.compile(bordered(re.escape(self.near), self.lang)) if self.near is not None else None

    def spans(self, text):
        found = spans_of(self.regex, text)
        if self.near_regex is None or not found:
            return found
        out = []
        for a, b in found:
            for c, d in spans_of(self.near_regex, text):
                if 0 <= c - b <= self.within or 0 <= a - d <= self.within:
                    out.append((min(a, c), max(b, d)))
        return out


def fires(patterns, text):
    """The spans of the includes that no exclude overlaps."""
    found = [s for p in patterns if not p.exclude for s in p.spans(text)]
    if not found:
        return found
    bars = [s for p in patterns if p.exclude for s in p.spans(text)]
    return [(a, b) for a, b in found if not any(c < b and a < d for c, d in bars)]


def regex_fault(source):
    """What the compiler of the server would refuse, or what would cost too much; None if it is fine."""
    if "(?" in source.replace("(?:", ""):
        return "has a construct that is not supported: (?"
    bare = re.sub(r"\[\^?[^]]+\]", ".", source)
    if re.search(r"[*+]|\{\d+,\}", bare):
        return "repeats without a bound"
    for n in re.findall(r"\{(?:\d+,)?(\d+)\}", bare):
        if int(n) > MAX_REPEAT:
            return "repeats more than %d times" % MAX_REPEAT
    if re.search(r"[$^]", bare):
        return "is tied to the start or end of the text"
    if re.match(r"[^()](\{0,|\?)", bare) or re.search(r"[.](\{0,\d+\}|\?)$", bare):
        return "starts or ends with what need not be there"
    try:
        if re.compile(source).search(""):
            return "matches the empty text"
    except re.error as e:
        return "does not compile: %s" % e
    return None


class Checker:
    def __init__(self):
        self.faults = []
        self.intents = []       # (topic, definition, {lang or None: patterns})

    def fault(self, where, what):
        self.faults.append("%s: %s" % (where, what))

    def load(self):
        """Reads the files; they must be readable without Chinese too."""
        for name in sorted(os.listdir(PACK)):
            topic, extension = os.path.splitext(name)
            if extension != ".json" or not re.fullmatch(r"[a-z_]{1,40}", topic):
                self.fault(name, "the file's name is not a topic")
                continue
            with open(os.path.join(PACK, name), encoding="utf-8") as f:
                text = f.read()
            if "\\" in text or "$" in text:
                self.fault(name, "has a backslash or a dollar sign, which the install script cannot carry")
            for n, line in enumerate(text.split("\n"), 1):
                try:
                    line.encode("gb2312")
                except UnicodeEncodeError as e:
                    self.fault("%s line %d" % (name, n), "%r is not in GB 2312" % line[e.start])
                if len(line) > MAX_LINE:
                    self.fault("%s line %d" % (name, n), "is longer than %d characters" % MAX_LINE)
            try:
                pack = json.loads(text)
                ascii_part = json.loads("\n".join(x for x in text.split("\n") if x.isascii()))
            except ValueError as e:
                self.fault(name, "is no JSON, as it is or without the lines that have Chinese: %s" % e)
                continue
            for d, plain in zip(pack, ascii_part):
                self.intent(topic, d, plain)

    def intent(self, topic, d, plain):
        where = "%s.json %s" % (topic, d.get("intent"))
        if [k for k in KEYS if k in d or k not in OPTIONAL] != list(d):
            self.fault(where, "its keys are %s, not %s" % (", ".join(d), ", ".join(KEYS)))
            return
        if not re.fullmatch(r"[a-z][a-z_]{2,39}", d["intent"]):
            self.fault(where, "its name is not a plain lower-case name")
        for k in ("title", "description", "title_zh", "description_zh"):
            if not d[k] or d[k] != d[k].strip() or k.endswith("zh") == d[k].isascii():
                self.fault(where, '"%s" is empty or in the wrong language' % k)
        if not d["sides"] or not set(d["sides"]) <= set(SIDES):
            self.fault(where, 'unknown "sides"')
        if not 0 < d["threshold"] <= 1:
            self.fault(where, '"threshold" is not above 0 and up to 1')
        if not isinstance(d.get("first", False), bool):
            self.fault(where, '"first" is not true or false')
        compiled, seen = [], set()
        for n, entry in enumerate(d["patterns"], 1):
            fault = self.pattern_fault(entry)
            if fault:
                self.fault("%s pattern %d" % (where, n), fault)
                continue
            key = json.dumps(entry, sort_keys=True)
            if key in seen:
                self.fault("%s pattern %d" % (where, n), "stands twice")
            seen.add(key)
            compiled.append(Pattern(entry))
        for lang in LANGS:
            if not any(p.lang in (lang, None) and not p.exclude for p in compiled):
                self.fault(where, "includes nothing in %s" % lang)
        wanted = {k: v for k, v in d.items() if not k.endswith("_zh")}
        wanted["patterns"] = [p for p in d["patterns"] if json.dumps(p, ensure_ascii=False).isascii()]
        wanted["examples"] = {"en": d["examples"].get("en")}
        if plain != wanted:
            self.fault(where, "without the lines that have Chinese, more or less is gone than the Chinese")
        self.intents.append((topic, d, compiled))
        self.examples(where, d, compiled)

    @staticmethod
    def pattern_fault(entry):
        kinds = [k for k in KINDS if k in entry]
        if len(kinds) != 1 or not set(entry) <= {"lang", "near", "within", kinds[0]} or entry.get("lang", "zh") not in LANGS:
            return "is not one of include, exclude, regex, exclude_regex, with lang, near and within"
        for source in [entry[kinds[0]]] + ([entry["near"]] if "near" in entry else []):
            if not source or len(source) > MAX_PATTERN:
                return "is empty or longer than %d characters" % MAX_PATTERN
            if fold(source) != source or source != source.strip():
                return "is not folded: lower case, half width, no blanks around it"
            if entry.get("lang") == "en" and not source.isascii():
                return "English has other letters than ASCII"
        if ("near" in entry) != ("within" in entry) or ("near" in entry and kinds[0] not in ("include", "exclude")):
            return '"near" and "within" go together, with include or exclude'
        if "within" in entry and not 1 <= entry["within"] <= MAX_WITHIN:
            return '"within" is not from 1 to %d' % MAX_WITHIN
        return regex_fault(entry[kinds[0]]) if "regex" in kinds[0] else None

    def examples(self, where, d, compiled):
        """Every positive example fires its own intent and no negative one does, with the patterns of its language and with all."""
        if list(d["examples"]) != list(LANGS):
            self.fault(where, "has no examples in both languages, zh first")
            return
        for lang, kinds in d["examples"].items():
            own = [p for p in compiled if p.lang in (lang, None)]
            for kind, least in LEAST.items():
                texts = kinds.get(kind, [])
                if len(texts) < least:
                    self.fault(where, "has fewer than %d %s examples in %s" % (least, kind, lang))
                for text in texts:
                    if (lang == "zh") == text.isascii():
                        self.fault(where, "example in the wrong language: %s" % text)
                    for patterns in (own, compiled):
                        found = fires(patterns, fold(text))
                        if bool(found) != (kind == "positive"):
                            self.fault(where, "%s example %s: %s" % (kind, "matches" if found else "does not match", text))
                            break
                        if any(b - a > 0.85 * len(text) for a, b in found):
                            self.fault(where, "example merely repeats a pattern: %s" % text)
                            break

    def uniqueness(self):
        for what, values in (("intent", lambda d: [d["intent"]]), ("title", lambda d: [d["title"].lower()]),
                             ("title_zh", lambda d: [d["title_zh"]]), ("description", lambda d: [d["description"].lower()]),
                             ("example", lambda d: [x for e in d["examples"].values() for k in e.values() for x in k])):
            seen = {}
            for topic, d, _ in self.intents:
                for v in values(d):
                    if v in seen:
                        self.fault("%s.json %s" % (topic, d["intent"]), '%s "%s" stands in %s too' % (what, v, seen[v]))
                    seen[v] = d["intent"]
        sources = [(d["intent"], {p.source for p in patterns if not p.exclude and p.near is None}) for _, d, patterns in self.intents]
        for i, (a, mine) in enumerate(sources):
            for b, other in sources[i + 1:]:
                if len(mine & other) * 3 > min(len(mine), len(other)):
                    self.fault(a, "shares a third of its patterns with %s: %s" % (b, ", ".join(sorted(mine & other))))
        if len(self.intents) < LEAST_INTENTS:
            self.fault("pack", "has %d intents, fewer than %d" % (len(self.intents), LEAST_INTENTS))
        if sum(d.get("first", False) for _, d, _ in self.intents) != FIRST:
            self.fault("pack", "%d intents are marked first, not %d" % (sum(d.get("first", False) for _, d, _ in self.intents), FIRST))

    def report(self):
        """How often the patterns of one intent fire on the examples of others of the same side."""
        on = {}
        shown = total = crossed = 0
        for _, d, _ in self.intents:
            for kind in ("positive", "negative"):
                for text in (x for e in d["examples"].values() for x in e[kind]):
                    total += 1
                    folded = fold(text)
                    hit = False
                    for _, other, patterns in self.intents:
                        if other is d or not set(d["sides"]) & set(other["sides"]) or not fires(patterns, folded):
                            continue
                        hit = True
                        shown += 1
                        on.setdefault(other["intent"], []).append("%s (%s): %s" % (d["intent"], kind, text))
                    crossed += hit
        for intent, texts in sorted(on.items(), key=lambda x: -len(x[1])):
            print("%s fires on %d examples of others" % (intent, len(texts)))
            for text in texts:
                print("    " + text)
        print("%d of %d examples fire an intent other than their own, %d times in all" % (crossed, total, shown))

    def docs(self):
        topics = {}
        for topic, d, patterns in self.intents:
            topics.setdefault(topic, []).append((d, patterns))
        print("# The starter pack of intents\n")
        print("%d intents in %d topics, in Chinese and English. `revops.add_intents()` takes them all into use, `revops.add_intents('{price,budget}')` those of"
              % (len(self.intents), len(topics)))
        print("some topics; `revops.publish_intents()` then puts their patterns into force. An intent that a team has already described is left alone.")
        print("The pack itself is the table `revops.intent_pack`. The ten that matter first are in bold. This page is made by")
        print("`test/unit/check_pack.py --docs`.\n")
        for topic, rows in topics.items():
            print("## %s\n\n| intent | title | | what it catches | side | patterns |\n| --- | --- | --- | --- | --- | --- |" % topic)
            for d, patterns in rows:
                print("| %s | %s | %s | %s | %s | %d |" % (("**`%s`**" if d.get("first") else "`%s`") % d["intent"], d["title"], d["title_zh"],
                                                          d["description"], ", ".join(d["sides"]), len(patterns)))
            print()


def main():
    checker = Checker()
    checker.load()
    if "--docs" in sys.argv:
        checker.docs()
        return 0
    if "--lines" in sys.argv:
        for _, d, patterns in checker.intents:
            for n, p in enumerate(patterns, 1):
                print(d["intent"], n, p.lang or "", "near" if p.near else "regex" if "regex" in p.kind else "literal",
                      "exclude" if p.exclude else "include", p.source, p.near or "", p.within or "", sep="\t")
        return 0
    checker.uniqueness()
    if "--report" in sys.argv:
        checker.report()
    for fault in checker.faults:
        print(fault)
    print("%d intents, %d patterns, %d examples, %d faults" % (
        len(checker.intents), sum(len(p) for _, _, p in checker.intents),
        sum(len(x) for _, d, _ in checker.intents for e in d["examples"].values() for x in e.values()), len(checker.faults)))
    return 1 if checker.faults else 0


if __name__ == "__main__":
    sys.exit(main())
