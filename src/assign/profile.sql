-- assign: what customers are like, and whose customers are like whose, as vectors of 128 hashed features

CREATE FUNCTION revops.profile_vector(features text[], weights float8[]) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_profile_vector';
COMMENT ON FUNCTION revops.profile_vector(text[], float8[]) IS
'A vector of 128 signed bytes, of length about 127: each of the first 8 bytes b of feature hash hashtextextended(feature, 0), lowest first, adds its weight to place b & 127, negative where b >= 128 (feature hashing, Weinberger et al., ICML 2009). NULL without features';

CREATE FUNCTION revops.profile_add(state bytea, vector bytea, weight float8) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_profile_add';
COMMENT ON FUNCTION revops.profile_add(bytea, bytea, float8) IS 'Transition of profile_sum()';
CREATE FUNCTION revops.profile_merge(state bytea, other bytea) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_profile_merge';
COMMENT ON FUNCTION revops.profile_merge(bytea, bytea) IS 'Merge of two states of profile_sum()';
CREATE FUNCTION revops.profile_result(state bytea) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_profile_result';
COMMENT ON FUNCTION revops.profile_result(bytea) IS 'Result of profile_sum()';
CREATE AGGREGATE revops.profile_sum(vector bytea, weight float8) (
    SFUNC = revops.profile_add, STYPE = bytea, COMBINEFUNC = revops.profile_merge, FINALFUNC = revops.profile_result, PARALLEL = SAFE
);
COMMENT ON AGGREGATE revops.profile_sum(bytea, float8) IS 'The direction of the weighted sum of vectors; NULL where there are none, or they cancel out';

CREATE FUNCTION revops.profile_similarity(a bytea, b bytea) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_profile_similarity';
COMMENT ON FUNCTION revops.profile_similarity(bytea, bytea) IS 'The cosine of two vectors, 0 where it is negative';

CREATE TABLE revops.account_profile (
    account     text COLLATE "C" PRIMARY KEY,
    vector      bytea NOT NULL
);
COMMENT ON TABLE revops.account_profile IS 'What each customer is like: industry, segment, territory, products and intents. Kept by revops.refresh_profiles()';
CREATE TABLE revops.rep_profile (
    rep         text COLLATE "C" PRIMARY KEY,
    customers   int NOT NULL,
    vector      bytea NOT NULL
);
COMMENT ON TABLE revops.rep_profile IS 'What each rep''s customers are like: the sum of their vectors. Kept by revops.refresh_profiles()';
CREATE TABLE revops.unit_profile (
    unit        text COLLATE "C" PRIMARY KEY,
    customers   int NOT NULL,
    vector      bytea NOT NULL
);
COMMENT ON TABLE revops.unit_profile IS 'What each unit''s customers are like. Kept by revops.refresh_profiles()';
SELECT pg_catalog.pg_extension_config_dump('revops.account_profile', '');
SELECT pg_catalog.pg_extension_config_dump('revops.rep_profile', '');
SELECT pg_catalog.pg_extension_config_dump('revops.unit_profile', '');

-- with a body of names that are already resolved, so that it can be inlined where it is called for a million customers
CREATE FUNCTION revops.account_features(account text) RETURNS TABLE (features text[], weights float8[])
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 BEGIN ATOMIC
    SELECT array_agg(f.feature ORDER BY f.feature), array_agg(f.weight ORDER BY f.feature)
    FROM revops.account a
    CROSS JOIN LATERAL (
        SELECT 'industry=' || lower(a.industry) AS feature, 1.0::float8 AS weight WHERE a.industry IS NOT NULL
        UNION ALL SELECT 'segment=' || lower(a.segment), 0.8 WHERE a.segment IS NOT NULL
        UNION ALL SELECT 'territory=' || lower(a.territory), 0.8 WHERE a.territory IS NOT NULL
        UNION ALL
        SELECT 'product=' || p.product, 0.8 / sqrt(count(*) OVER ())
        FROM (SELECT DISTINCT lower(x.product) AS product
              FROM jsonb_array_elements_text(CASE jsonb_typeof(a.properties -> 'products') WHEN 'array' THEN a.properties -> 'products'
                                                  WHEN 'string' THEN jsonb_build_array(a.properties -> 'products') ELSE '[]' END) x (product)
              WHERE x.product IS NOT NULL ORDER BY 1 LIMIT 32) p
        UNION ALL
        SELECT 'intent=' || i.intent, 0.6 / sqrt(count(*) OVER ())
        FROM (SELECT s.intent FROM revops.intent_state s JOIN revops.intent n USING (intent)
              WHERE s.subject_kind = 'account' AND s.subject = a.account AND revops.decayed(s.rank, n.half_life, revops.now()) >= 0.5
              ORDER BY revops.decayed(s.rank, n.half_life, revops.now()) DESC, s.intent LIMIT 3) i
    ) f
    WHERE a.account = $1 COLLATE "C"
    GROUP BY a.account;
END;
COMMENT ON FUNCTION revops.account_features(text) IS
'What a customer''s vector is made of: industry 1, segment 0.8, territory 0.8, properties.products 0.8 together, its three hottest intents 0.6 together (as a length, not as a sum)';

CREATE FUNCTION revops.refresh_profiles() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
    SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    changed bigint := 0;
    gone    bigint;
    n       bigint;
BEGIN
    -- two at once would write the same rows. Tables that are being filled are reached by their index, not read again for each row
    PERFORM pg_advisory_xact_lock('revops.account_profile'::regclass::oid::int, 1);
    -- whoever is gone, or has nothing left to be known by
    DELETE FROM revops.account_profile p WHERE NOT EXISTS (SELECT FROM revops.account_features(p.account));
    GET DIAGNOSTICS gone = ROW_COUNT;
    INSERT INTO revops.account_profile AS p (account, vector)
    SELECT v.account, v.vector
    FROM (SELECT a.account, revops.profile_vector(f.features, f.weights) AS vector
          FROM revops.account a CROSS JOIN LATERAL revops.account_features(a.account) f OFFSET 0) v
    WHERE v.vector IS NOT NULL
      AND v.vector IS DISTINCT FROM (SELECT o.vector FROM revops.account_profile o WHERE o.account = v.account)
    ON CONFLICT (account) DO UPDATE SET vector = excluded.vector;
    GET DIAGNOSTICS changed = ROW_COUNT;

    CREATE TEMP TABLE fresh_profile ON COMMIT DROP AS
    SELECT a.owner AS rep, count(*)::int AS customers, revops.profile_sum(p.vector, 1) AS vector
    FROM revops.account a JOIN revops.account_profile p USING (account) WHERE a.owner IS NOT NULL GROUP BY a.owner;
    DELETE FROM revops.rep_profile p WHERE NOT EXISTS (SELECT FROM pg_temp.fresh_profile f WHERE f.rep = p.rep AND f.vector IS NOT NULL);
    INSERT INTO revops.rep_profile AS p (rep, customers, vector)
    SELECT f.rep, f.customers, f.vector FROM pg_temp.fresh_profile f
    WHERE f.vector IS NOT NULL AND NOT EXISTS (SELECT FROM revops.rep_profile o WHERE o.rep = f.rep AND o.customers = f.customers AND o.vector = f.vector)
    ON CONFLICT (rep) DO UPDATE SET customers = excluded.customers, vector = excluded.vector;
    GET DIAGNOSTICS n = ROW_COUNT;
    changed := changed + n;
    DROP TABLE pg_temp.fresh_profile;

    CREATE TEMP TABLE fresh_profile ON COMMIT DROP AS
    SELECT r.unit, sum(p.customers)::int AS customers, revops.profile_sum(p.vector, p.customers) AS vector
    FROM revops.rep r JOIN revops.rep_profile p USING (rep) WHERE r.unit IS NOT NULL GROUP BY r.unit;
    DELETE FROM revops.unit_profile p WHERE NOT EXISTS (SELECT FROM pg_temp.fresh_profile f WHERE f.unit = p.unit AND f.vector IS NOT NULL);
    INSERT INTO revops.unit_profile AS p (unit, customers, vector)
    SELECT f.unit, f.customers, f.vector FROM pg_temp.fresh_profile f
    WHERE f.vector IS NOT NULL AND NOT EXISTS (SELECT FROM revops.unit_profile o WHERE o.unit = f.unit AND o.customers = f.customers AND o.vector = f.vector)
    ON CONFLICT (unit) DO UPDATE SET customers = excluded.customers, vector = excluded.vector;
    GET DIAGNOSTICS n = ROW_COUNT;
    DROP TABLE pg_temp.fresh_profile;
    RETURN changed + gone + n;
END $$;
COMMENT ON FUNCTION revops.refresh_profiles() IS
'Brings the vectors of customers, reps and units up to date; writes what changed, and returns how many rows that were. For a job, or after a large import';
