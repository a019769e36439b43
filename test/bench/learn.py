"""The other side of bench part "learn": scikit-learn's TfidfVectorizer and LinearSVC on the same rows, on one core.

learn.py BANKING77.csv: seconds to train, texts a second to classify, accuracy.
"""
import csv
import sys
import time

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion
from sklearn.svm import LinearSVC

rows = list(csv.DictReader(open(sys.argv[1], encoding="utf-8")))
train = [r for r in rows if r["split"] == "train"]
test = [r for r in rows if r["split"] == "test"]
texts = [r["text"] for r in rows]
t = time.perf_counter()
features = FeatureUnion([("word", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)),
                         ("char", TfidfVectorizer(analyzer="char", ngram_range=(2, 5), sublinear_tf=True))])
model = LinearSVC().fit(features.fit_transform([r["text"] for r in train]), [r["label"] for r in train])
trained = time.perf_counter() - t
t = time.perf_counter()
model.predict(features.transform(texts))
rate = len(texts) / (time.perf_counter() - t)
hits = (model.predict(features.transform([r["text"] for r in test])) == [r["label"] for r in test]).mean()
print(f"{trained:.3f} {rate:.0f} {hits:.4f}")
