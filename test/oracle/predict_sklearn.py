"""scikit-learn's logistic regression on rows of categories: a column for each value, the penalty of the model that it is compared with.

Reads CSV (the answer first, t or f) from its input; prints the objective and the mean log loss.
"""
import csv
import json
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import OneHotEncoder

strength = float(sys.argv[1])
rows = list(csv.reader(sys.stdin))
y = np.array([r[0] == "t" for r in rows])
x = OneHotEncoder().fit_transform([r[1:] for r in rows])
model = LogisticRegression(C=1 / strength, solver="newton-cg", max_iter=1000, tol=1e-10).fit(x, y)
p = model.predict_proba(x)[:, 1]
objective = log_loss(y, p, normalize=False) + strength / 2 * float((model.coef_ ** 2).sum())
print(json.dumps({"objective": objective, "log_loss": log_loss(y, p)}))
