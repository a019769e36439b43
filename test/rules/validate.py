"""Validates rules against docs/moment-rule.schema.json: reads JSON texts, one a line, each a JSON string; for each
prints "ok", or "no" and the first error."""
import json
import sys

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

with open(sys.argv[1], encoding="utf-8") as f:
    schema = json.load(f)
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
for line in sys.stdin:
    error = best_match(validator.iter_errors(json.loads(json.loads(line))))
    print("ok" if error is None else "no " + error.message.replace("\n", " ")[:200])
