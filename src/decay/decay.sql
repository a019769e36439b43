-- decay: forward decay

CREATE FUNCTION revops.decayed(logsum float8, half_life interval, at timestamptz) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'decayed';
COMMENT ON FUNCTION revops.decayed(float8, interval, timestamptz) IS
'A decayed sum at a time: 2^(logsum - t/half_life), where logsum is log2 of the sum of weight * 2^(t/half_life)';
