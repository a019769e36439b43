-- learn: yes-or-no questions over rows

CREATE FUNCTION revops.predict(model text, features anyelement) RETURNS float8
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_predict';
COMMENT ON FUNCTION revops.predict(text, anyelement) IS 'The probability of yes for a row, by the deployed version. The row''s columns are matched by name to those of the training; others are ignored';

CREATE FUNCTION revops.explain(model text, features anyelement, OUT feature text, OUT value text, OUT contribution float8) RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE ROWS 20 AS 'MODULE_PATHNAME', 'revops_explain';
COMMENT ON FUNCTION revops.explain(text, anyelement) IS 'Why predict() says what it says: what each column adds to the log-odds. The contributions sum to ln(p / (1 - p)); the intercept comes first, then the strongest';
