#!/usr/bin/env python3
"""Random patterns and texts, and what docs/intents.md says they show, worked out plainly: text_reference.py SEED TEXTS > JSON.

Every end of a match counts, with the leftmost start that leads to it; nothing here knows how the server does it.
"""
import json
import random
import re
import sys

FOLD = {"貴": "贵", "價": "价", "沒": "没", "Ａ": "a", "Ｂ": "b", "１": "1", "，": ",", "\u3000": " ", "\n": " ", "\t": " ", "É": "é"}
TEXT = "aaabbbAB__11  \n，,,贵贵貴不不价價格格高高没沒É🙂𠀀Ａ１"
WORD = "ab1_ A贵貴不价格高价價没é"
random.seed(int(sys.argv[1]))


def fold(s):
    return "".join(FOLD.get(c, c.lower()) for c in s)


def word(low, high):
    while True:
        s = "".join(random.choice(WORD) for _ in range(random.randint(low, high)))
        if s == s.strip(" ") and "  " not in s:
            return s


def regex(depth=0):
    parts = []
    for _ in range(random.randint(1, 3)):
        r = random.random()
        if r < 0.5 or depth > 1:
            part = word(1, 2)
        elif r < 0.65:
            part = "[" + random.choice(["ab", "贵高", "^不", "a-b贵", "^a1"]) + "]"
        elif r < 0.8:
            part = "(?:" + regex(depth + 1) + "|" + regex(depth + 1) + ")"
        else:
            part = "."
        if len(part) == 1 or part[0] in "([":
            part += random.choice(["", "", "", "?", "{0,2}", "+"] if depth == 0 and part[0] != "(" else ["", "?"])
        parts.append(part)
    return "".join(parts)


def finite(depth=0):
    """One that matches few texts."""
    parts = []
    for _ in range(random.randint(1, 3)):
        r = random.random()
        part = "(?:%s|%s)" % (finite(1), finite(1)) if r < 0.3 and depth == 0 else "[%s]" % random.choice(["ab", "a ", "贵高"]) if r < 0.45 else random.choice(
            ["ab", "a b", "aa", "b", " ", "贵贵", "不", "格高"])
        parts.append(part + ("?" if (len(part) == 1 or part[0] in "([") and random.random() < 0.4 else ""))
    return "".join(parts)


def definition():
    patterns = []
    for _ in range(random.randint(1, 5)):
        p = {}
        lang = random.choice([None, "zh", "en"])
        if lang:
            p["lang"] = lang
        exclude = patterns and random.random() < 0.3
        r = random.random()
        if r < 0.35:
            while True:
                s = finite() if random.random() < 0.5 else regex()
                if s.strip(" ") and not re.search(fold(s), "") and len(s) < 100:
                    break
            p["exclude_regex" if exclude else "regex"] = s
        else:
            p["exclude" if exclude else "include"] = word(1, 3)
            if r > 0.75:
                p["near"], p["within"] = word(1, 2), random.randint(0, 6)
        patterns.append(p)
    return {"threshold": random.choice([0, 0.3, 0.55, 0.65, 0.8]), "patterns": patterns}


def is_word(c):
    return c.isascii() and (c.isalnum() or c == "_")


def inside(t, i):
    return 0 < i < len(t) and is_word(t[i - 1]) and is_word(t[i])


def hits(source, border, t):
    compiled, out = re.compile(source), []
    for e in range(1, len(t) + 1):
        if border and inside(t, e):
            continue
        for s in range(e):
            if not (border and inside(t, s)) and compiled.fullmatch(t, s, e):
                out.append((s, e))
                break
    return out


def literal(s):
    return re.escape(fold(s)).replace("\\ ", " +")


def matches(p, t):
    border = p.get("lang") != "zh"
    kind = next(k for k in ("include", "exclude", "regex", "exclude_regex") if k in p)
    found = hits(fold(p[kind]) if "regex" in kind else literal(p[kind]), border, t)
    if "near" not in p:
        return found
    out = []
    for a, b in found:
        pairs = []
        for c, d in hits(literal(p["near"]), border, t):
            if d <= a:
                pairs.append((a - d, 0, -d, c, b))
            elif c >= b:
                pairs.append((c - b, 1, c, a, d))
        if pairs and min(pairs)[0] <= p["within"]:
            out.append(min(pairs)[3:])
    return out


def weight(p):
    return 0.7 if "near" in p else 0.5 if len(p.get("include", "  ")) == 1 else 0.6


def shows(d, t, lang):
    used = [p for p in d["patterns"] if lang is None or p.get("lang") in (None, lang)]
    bars = [m for p in used if "exclude" in p or "exclude_regex" in p for m in matches(p, t)]
    found = sorted((a, b, weight(p)) for p in used if "include" in p or "regex" in p for a, b in matches(p, t)
                   if not any(c < b and a < e for c, e in bars))
    places = []
    for a, b, w in found:
        if places and a < places[-1][1]:
            places[-1] = (places[-1][0], max(places[-1][1], b), max(places[-1][2], w))
        else:
            places.append((a, b, w))
    if not places:
        return None
    doubt = 1.0
    for _, _, w in places:
        doubt *= 1 - w
    confidence = min(1 - doubt, 0.99)
    best = max(places, key=lambda x: x[2])
    return [confidence, best[0], best[1]] if confidence >= d["threshold"] else None


intents = {"i%03d" % i: definition() for i in range(60)}
texts = []
for n in range(int(sys.argv[2])):
    body = "".join(random.choice(TEXT) for _ in range(random.randint(0, 30)))
    lang = random.choice([None, None, "zh", "en"])
    t = fold(body)
    found = {i: shows(d, t, lang) for i, d in intents.items()}
    texts.append({"n": n, "body": body, "lang": lang, "shows": {i: x for i, x in found.items() if x}})
json.dump({"intents": intents, "texts": texts}, sys.stdout, ensure_ascii=True)
