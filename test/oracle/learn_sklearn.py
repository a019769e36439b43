"""The least objective of one-vs-rest classifiers, by scikit-learn: what revops.train() minimises, on the same features.

Reads CSV rows (label, text) from standard input; the texts are of a-z, 0-9 and spaces. Prints a JSON object: loss -> objective, summed over labels.
"""
import csv
import json
import sys

import numpy
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

C = float(sys.argv[1])
rows = list(csv.reader(sys.stdin))
labels = numpy.array([r[0] for r in rows])
x = TfidfVectorizer(token_pattern=r"[a-z0-9]+", sublinear_tf=True).fit_transform([r[1] for r in rows])


def objective(model, loss):
    margins = x @ model.coef_.ravel() + model.intercept_[0]
    return 0.5 * (model.coef_ ** 2).sum() + 0.5 * model.intercept_[0] ** 2 + C * loss(y * margins).sum()


total = {"squared_hinge": 0.0, "logistic": 0.0}
for label in sorted(set(labels)):
    y = numpy.where(labels == label, 1, -1)
    svm = LinearSVC(C=C, loss="squared_hinge", dual=True, tol=1e-6, max_iter=20000).fit(x, y)
    total["squared_hinge"] += objective(svm, lambda m: numpy.maximum(0, 1 - m) ** 2)
    lr = LogisticRegression(C=C, solver="liblinear", tol=1e-6, max_iter=2000).fit(x, y)
    total["logistic"] += objective(lr, lambda m: numpy.logaddexp(0, -m))
print(json.dumps(total))
