#!/usr/bin/python3
"""Random assignment problems with their optima, by scipy or by trying everything: assignment.py SEED FOLDER

Writes FOLDER/pairs.csv (problem,task,unit,benefit,load), capacities.csv (problem,unit,capacity) and
optima.csv (problem,kind,maximize,optional,capacities,loads,assigned,objective); an empty unit is a task without candidates.
As many tasks as possible are to be assigned, and of all such ways the best counts: leaving a task out costs OUT, more than all else together.
"""
import csv
import itertools
import os
import random
import sys

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

OUT = 1e6
seed, folder = int(sys.argv[1]), sys.argv[2]
rng = random.Random(seed)
pairs, capacities, optima = [], [], []


def number(style):
    if style == "float":
        return rng.uniform(-10, 10)
    if style == "integer":
        return float(rng.randint(-50, 50))
    return float(rng.randint(0, 2))


def write(kind, n, m, cell, maximize, optional, capacity, load, assigned, objective):
    k = len(optima)
    for i in range(n):
        if not any((i, j) in cell for j in range(m)):
            pairs.append((k, "t%d" % i, "", "", ""))
    items = list(cell.items())
    rng.shuffle(items)
    for (i, j), b in items:
        pairs.append((k, "t%d" % i, "u%d" % j, repr(b), repr(load[i, j]) if load else ""))
    for j in range(m) if capacity else []:
        capacities.append((k, "u%d" % j, capacity[j]))
    optima.append((k, kind, maximize, optional, capacity is not None, load is not None, assigned, repr(objective)))


def by_scipy(n, m, cell, maximize, optional, capacity):
    """Each place of each unit is a column, and each task has a column for staying out."""
    sign = -1 if maximize else 1
    columns = [j for j in range(m) for _ in range(min(n, capacity[j]) if capacity else 1)]
    cost = np.full((n, len(columns) + n), 2 * OUT)
    for c, j in enumerate(columns):
        for i in range(n):
            if (i, j) in cell:
                cost[i, c] = sign * cell[i, j]
    for i in range(n):
        cost[i, len(columns) + i] = 0 if optional else OUT
    rows, chosen = linear_sum_assignment(cost)
    used = [(i, columns[c]) for i, c in zip(rows, chosen) if c < len(columns)]
    assert all(u in cell for u in used)
    return len(used), sum(cell[u] for u in used)


def some(kind, n, m, share, style, capacity=None, optional=False):
    cell = {(i, j): number(style) for i in range(n) for j in range(m) if rng.random() < share}
    maximize = rng.random() < 0.5
    assigned, objective = by_scipy(n, m, cell, maximize, optional, capacity)
    write(kind, n, m, cell, maximize, optional, capacity, None, None if optional else assigned, objective)


for style in ("float", "integer", "tied"):
    for _ in range(8):
        n = rng.randint(1, 40)
        some("dense square, " + style, n, n, 1, style)
        some("dense, " + style, rng.randint(1, 40), rng.randint(1, 40), 1, style)
        some("nearly full, " + style, rng.randint(2, 30), rng.randint(2, 30), rng.choice((0.6, 0.8, 0.95)), style)
        some("sparse, " + style, rng.randint(1, 60), rng.randint(1, 60), rng.choice((0.02, 0.05, 0.1, 0.2)), style)
        m = rng.randint(1, 12)
        some("capacities, " + style, rng.randint(1, 60), m, rng.choice((0.1, 0.3, 1)), style, [rng.randint(0, 9) for _ in range(m)])
        some("capacities, tight, " + style, m * 5, m, rng.choice((0.3, 0.6, 1)), style, [5] * m)
        some("optional, " + style, rng.randint(1, 30), m, rng.choice((0.3, 1)), style, [rng.randint(0, 5) for _ in range(m)], True)
        some("optional, one to one, " + style, rng.randint(1, 30), rng.randint(1, 30), rng.choice((0.2, 1)), style, None, True)
    # the many compete for the same few
    m = rng.randint(3, 10)
    cell = {(i, j): j + number(style) / 20 for i in range(100) for j in range(m) if rng.random() < 0.6}
    cap = [rng.randint(5, 20) for _ in range(m)]
    assigned, objective = by_scipy(100, m, cell, True, False, cap)
    write("alike, " + style, 100, m, cell, True, False, cap, None, assigned, objective)

# all rank the same units alike, the quality of a unit and a little of one's own; too little room, just enough, and more
for style in ("float", "integer", "tied"):
    for places in (0.7, 1, 1, 1.15):
        n, m = rng.randint(150, 300), rng.randint(5, 40)
        noise = rng.choice((0.001, 0.01, 0.1, 0))
        worth = [rng.randint(0, 100) for _ in range(m)]
        cell = {(i, j): worth[j] + (100 * noise * rng.random() if style == "float" else float(round(number(style) * noise)))
                for i in range(n) for j in rng.sample(range(m), rng.randint(min(m, 3), min(m, 20)))}
        cap = [rng.randint(0, 2 * max(1, int(n * places / m))) if places != 1 else n // m + (j < n % m) for j in range(m)]
        maximize = rng.random() < 0.5
        optional = rng.random() < 0.2
        assigned, objective = by_scipy(n, m, cell, maximize, optional, cap)
        write("alike and many, " + style, n, m, cell, maximize, optional, cap, None, None if optional else assigned, objective)

# sparse, with an assignment of all: scipy's own sparse solver
for style in ("float", "integer"):
    for _ in range(5):
        n = rng.randint(2, 200)
        m = n + rng.randint(0, 50)
        cell = {(i, j): abs(number(style)) + 1 for i in range(n) for j in rng.sample(range(m), min(m, 4))}
        for i, j in enumerate(rng.sample(range(m), n)):
            cell[i, j] = abs(number(style)) + 1
        maximize = rng.random() < 0.5
        graph = csr_matrix((list(cell.values()), tuple(zip(*cell.keys()))), shape=(n, m))
        rows, columns = min_weight_full_bipartite_matching(graph, maximize=maximize)
        write("sparse, full, " + style, n, m, cell, maximize, False, None, None, n, float(sum(cell[i, j] for i, j in zip(rows, columns))))

# each task its own load in each unit: everything is tried
for _ in range(40):
    n, m = rng.randint(1, 6), rng.randint(1, 4)
    style = rng.choice(("float", "integer"))
    cell = {(i, j): number(style) for i in range(n) for j in range(m) if rng.random() < 0.8}
    load = {u: float(rng.randint(0, 10)) if style == "integer" else rng.uniform(0, 10) for u in cell}
    capacity = [rng.randint(0, 20) for _ in range(m)]
    maximize = rng.random() < 0.5
    best = None
    for way in itertools.product(*[[None] + [j for j in range(m) if (i, j) in cell] for i in range(n)]):
        room = capacity[:]
        for i, j in enumerate(way):
            if j is not None:
                room[j] -= load[i, j]
        if min(room) < 0:
            continue
        used = [(i, j) for i, j in enumerate(way) if j is not None]
        value = sum(cell[u] for u in used)
        key = (len(used), value if maximize else -value)
        if best is None or key > best[0]:
            best = (key, len(used), value)
    write("loads, " + style, n, m, cell, maximize, False, capacity, load, best[1], float(best[2]))

for name, rows in (("pairs", pairs), ("capacities", capacities), ("optima", optima)):
    with open(os.path.join(folder, name + ".csv"), "w", newline="") as f:
        csv.writer(f, lineterminator="\n").writerows(rows)
