#!/usr/bin/env python3
"""Writes fold_table.h: which characters are taken for one another when texts are matched with patterns.

    fold_table.py [directory of the Unicode data, default /usr/share/unicode, as Debian's package unicode-data has it] > fold_table.h

Each character becomes one character, so that positions stay what they were: its half-width form, its simple case folding, its simplified
form (kSimplifiedVariant of Unihan; of several, the first that GB 2312 has), a plain space for white space, plain quotes for curly ones.
"""
import bz2
import os
import sys

DIRECTORY = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/unicode"


def lines(name):
    path = os.path.join(DIRECTORY, name)
    with (bz2.open(path + ".bz2", "rt", encoding="utf-8") if not os.path.exists(path) else open(path, encoding="utf-8")) as f:
        for line in f:
            line = line.split("#")[0].strip() if not name.startswith("Unihan") else line.strip()
            if line and not line.startswith("#"):
                yield line


def in_gb2312(n):
    try:
        chr(n).encode("gb2312")
        return True
    except UnicodeEncodeError:
        return False


width, case, simple, other = {}, {}, {}, {}
for line in lines("UnicodeData.txt"):
    f = line.split(";")
    part = f[5].split()
    if len(part) == 2 and part[0] in ("<wide>", "<narrow>"):
        width[int(f[0], 16)] = int(part[1], 16)
for line in lines("CaseFolding.txt"):
    f = [x.strip() for x in line.split(";")]
    if f[1] in ("C", "S"):
        case[int(f[0], 16)] = int(f[2], 16)
for line in lines("Unihan_Variants.txt"):
    f = line.split("\t")
    if len(f) == 3 and f[1] == "kSimplifiedVariant":
        n = int(f[0][2:], 16)
        to = [int(x.split("<")[0][2:], 16) for x in f[2].split()]
        to = [x for x in to if x != n]
        to = [x for x in to if in_gb2312(x)] or to
        if to and in_gb2312(to[0]) >= in_gb2312(n):
            simple[n] = to[0]
for line in lines("PropList.txt"):
    f = [x.strip() for x in line.split(";")]
    if f[1] == "White_Space":
        a, _, b = f[0].partition("..")
        other.update({n: 0x20 for n in range(int(a, 16), int(b or a, 16) + 1) if n != 0x20})
for n in "\u2018\u2019\u201b\u02bc":
    other[ord(n)] = ord("'")
for n in "\u201c\u201d\u201f":
    other[ord(n)] = ord('"')

pairs = []
for n in sorted(set(width) | set(case) | set(simple) | set(other)):
    seen, to = [n], n
    while True:
        after = next((m[to] for m in (other, width, case, simple) if to in m), to)
        if after == to:
            break
        if after in seen:
            to = min(seen[seen.index(after):])
            break
        seen.append(after)
        to = after
    if to != n:
        pairs.append((n, to))

print("""/*
 * fold_table.h
 *	  Characters, and what they become when texts are matched with patterns. Made by fold_table.py; not to be edited.
 *
 * From the Unicode Character Database, Copyright Unicode, Inc., under the terms in unicode-license.txt.
 */
static const uint32 fold_pairs[][2] = {""")
for i in range(0, len(pairs), 8):
    print("\t" + " ".join("{0x%X, 0x%X}," % p for p in pairs[i:i + 8]))
print("};")
