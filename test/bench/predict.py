"""scikit-learn on the data of predict.sh: bins for the numbers, one column for each bin and category, logistic regression.

Prints CPU seconds (encoding and fitting, from arrays in memory, one solver with one strength), those of fitting alone, and the log loss on the rows themselves.
"""
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder

data = np.loadtxt(sys.argv[1], delimiter=",")
bins, solver = int(sys.argv[2]), sys.argv[3]
y, numbers, categories = data[:, 0], data[:, 1:15], data[:, 15:]
t = time.process_time()
x = sparse.hstack([
    KBinsDiscretizer(bins, encode="onehot", strategy="quantile", subsample=50000, random_state=0).fit_transform(numbers),
    OneHotEncoder().fit_transform(categories)]).tocsr()
encoded = time.process_time()
model = LogisticRegression(C=1 / 3, solver=solver, max_iter=300, tol=1e-4).fit(x, y)
done = time.process_time()
print("%.3f %.3f %.5f" % (done - t, done - encoded, log_loss(y, model.predict_proba(x)[:, 1])))
