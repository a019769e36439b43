#!/usr/bin/python3
"""OR-Library files of generalized assignment as CSV: set,task,unit,benefit,load and set,unit,capacity.

assignment_data.py FOLDER pairs|capacities|optima|assign100
gap1..6 hold several problems each (maximise); a05100 .. a20200 one (minimise). assign100 is a square matrix of costs.
"""
import os
import sys

folder, what = sys.argv[1:3]
gap_a = ["a05100", "a05200", "a10100", "a10200", "a20100", "a20200"]


def numbers(name):
    return [int(w) for w in open(os.path.join(folder, name)).read().split()]


def problems():
    for k in range(1, 7):
        data = numbers("gap%d.txt" % k)
        at = 1
        for c in range(data[0]):
            m, n = data[at:at + 2]
            at += 2
            yield "gap%d-%d" % (k, c + 1), m, n, data[at:at + m * n], data[at + m * n:at + 2 * m * n], data[at + 2 * m * n:at + 2 * m * n + m]
            at += 2 * m * n + m
    for name in gap_a:
        data = numbers("gap_a/" + name)
        m, n = data[:2]
        yield name, m, n, data[2:2 + m * n], data[2 + m * n:2 + 2 * m * n], data[2 + 2 * m * n:]


if what == "assign100":
    data = numbers("assign100.txt")
    for k, cost in enumerate(data[1:]):
        print("%d,%d,%d" % (k // data[0], k % data[0], cost))
elif what == "optima":
    for line in open(os.path.join(folder, "optima.txt")):
        words = line.split()
        if line.startswith("gap"):
            for c, v in enumerate(words[1:]):
                print("%s-%d,%s" % (words[0], c + 1, v))
        elif words and words[0] in gap_a + ["assign100"]:
            print("%s,%s" % tuple(words))
else:
    for name, m, n, benefit, load, capacity in problems():
        for j in range(m):
            if what == "capacities":
                print("%s,%d,%d" % (name, j, capacity[j]))
            else:
                for i in range(n):
                    print("%s,%d,%d,%d,%d" % (name, i, j, benefit[j * n + i], load[j * n + i]))
