#!/usr/bin/python3
"""What scipy takes: assignment.py SIZE, with the rows of a square matrix on stdin, task unit benefit.

Prints the seconds of linear_sum_assignment alone, those of reading the rows and building the matrix before it, and the total.
"""
import sys
import time

import numpy as np
from scipy.optimize import linear_sum_assignment

n = int(sys.argv[1])
began = time.perf_counter()
task, unit, benefit = np.fromstring(sys.stdin.read(), sep=" ").reshape(-1, 3).T
matrix = np.zeros((n, n))
matrix[task.astype(int) - 1, unit.astype(int) - 1] = benefit
read = time.perf_counter() - began
began = time.perf_counter()
rows, columns = linear_sum_assignment(matrix, maximize=True)
print("%.3f %.3f %.6f" % (time.perf_counter() - began, read, matrix[rows, columns].sum()))
