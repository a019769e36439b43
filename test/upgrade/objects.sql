-- Every object of the extension, and all that makes it what it is, as lines that do not depend on OIDs: two databases with the same
-- lines have the same extension. Of columns, the order counts, and not the gaps that dropped ones leave.
SET search_path = pg_catalog;
WITH member AS (
    SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND x.extname = 'pg_revops'
), relation AS (
    SELECT c.* FROM pg_class c WHERE c.oid IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass)
), label (object, what) AS (
    SELECT pg_describe_object(classid, objid, 0), 'member' FROM member
    UNION ALL
    SELECT pg_describe_object(classid, objid, 0), 'comment ' || coalesce(obj_description(objid, classid::regclass::text::name), '-') FROM member
    UNION ALL
    SELECT 'extension', format('version %s, schema %s, relocatable %s', extversion, extnamespace::regnamespace, extrelocatable) FROM pg_extension WHERE extname = 'pg_revops'
    UNION ALL
    SELECT 'extension', format('dumped with pg_dump: %s %s', t::regclass, extcondition[n])
    FROM pg_extension, unnest(extconfig) WITH ORDINALITY AS u (t, n) WHERE extname = 'pg_revops'
    UNION ALL
    -- functions; pg_get_functiondef has source, language, volatility, strictness, safety, cost, settings; aggregates have none
    SELECT 'function ' || p.oid::regprocedure,
           CASE WHEN p.prokind = 'a' THEN format('aggregate %s', to_jsonb(g) - '{aggfnoid,aggtranstype,aggmtranstype}'::text[] || jsonb_build_object('state', g.aggtranstype::regtype)) ELSE pg_get_functiondef(p.oid) END
    FROM pg_proc p LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid WHERE p.oid IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass)
    UNION ALL
    SELECT 'function ' || p.oid::regprocedure, format('owner %s, result %s, grants %s', p.proowner::regrole, pg_get_function_result(p.oid),
           (SELECT array_agg(i::text ORDER BY i::text) FROM unnest(p.proacl) i))
    FROM pg_proc p WHERE p.oid IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass)
    UNION ALL
    SELECT 'type ' || t.oid::regtype, format('type %s %s %s %s %s %s, grants %s', t.typtype, t.typlen, t.typbyval, t.typalign, t.typstorage, t.typcategory,
           (SELECT array_agg(i::text ORDER BY i::text) FROM unnest(t.typacl) i))
    FROM pg_type t WHERE t.oid IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)
    UNION ALL
    SELECT 'type ' || e.enumtypid::regtype, format('value %s %s', rank() OVER (PARTITION BY e.enumtypid ORDER BY e.enumsortorder), e.enumlabel)
    FROM pg_enum e WHERE e.enumtypid IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)
    UNION ALL
    SELECT 'relation ' || c.oid::regclass, format('kind %s, persistence %s, options %s, partition key %s, bound %s, parent %s, owner %s, security %s %s, grants %s',
           c.relkind, c.relpersistence, c.reloptions, pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
           (SELECT i.inhparent::regclass FROM pg_inherits i WHERE i.inhrelid = c.oid), c.relowner::regrole, c.relrowsecurity, c.relforcerowsecurity,
           (SELECT array_agg(i::text ORDER BY i::text) FROM unnest(c.relacl) i)) FROM relation c
    UNION ALL
    SELECT 'relation ' || c.oid::regclass, 'view ' || pg_get_viewdef(c.oid) FROM relation c WHERE c.relkind IN ('v', 'm')
    UNION ALL
    SELECT 'relation ' || c.oid::regclass, format('sequence %s', to_jsonb(s) - 'seqrelid') FROM relation c JOIN pg_sequence s ON s.seqrelid = c.oid
    UNION ALL
    SELECT format('column %s.%I', c.oid::regclass, a.attname),
           format('place %s, type %s, collation %s, not null %s, default %s, identity %s, generated %s, storage %s, compression %s, options %s, grants %s, comment %s',
                  rank() OVER (PARTITION BY c.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation, a.attnotnull,
                  pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, a.attstorage, a.attcompression,
                  (SELECT array_agg(o ORDER BY o) FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg\_att%'),  -- the server's own bookkeeping apart
                  (SELECT array_agg(i::text ORDER BY i::text) FROM unnest(a.attacl) i), coalesce(col_description(c.oid, a.attnum), '-'))
    FROM relation c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE c.relkind <> 'S'
    UNION ALL
    SELECT 'constraint ' || k.conname || ' of ' || coalesce(c.oid::regclass::text, k.contypid::regtype::text),
           format('%s, validated %s, comment %s', pg_get_constraintdef(k.oid), k.convalidated, coalesce(obj_description(k.oid, 'pg_constraint'), '-'))
    FROM pg_constraint k LEFT JOIN relation c ON c.oid = k.conrelid
    -- NOT NULL is said of the columns above. PostgreSQL 18 has constraints of it, too, and pg_upgrade other names for a partition's than CREATE TABLE
    WHERE k.contype <> 'n' AND (c.oid IS NOT NULL OR k.contypid IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass))
    UNION ALL
    SELECT 'index ' || i.indexrelid::regclass, format('%s, valid %s, clustered %s, identity %s, comment %s', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered,
           i.indisreplident, coalesce(obj_description(i.indexrelid, 'pg_class'), '-')) FROM pg_index i JOIN relation c ON c.oid = i.indrelid
    UNION ALL
    SELECT 'trigger ' || t.tgname || ' of ' || c.oid::regclass, format('%s, enabled %s', pg_get_triggerdef(t.oid), t.tgenabled)
    FROM pg_trigger t JOIN relation c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'rule ' || r.rulename || ' of ' || c.oid::regclass, pg_get_ruledef(r.oid) FROM pg_rewrite r JOIN relation c ON c.oid = r.ev_class WHERE r.rulename <> '_RETURN'
    UNION ALL
    SELECT 'policy ' || p.polname || ' of ' || c.oid::regclass, format('%s %s for %s, using %s, check %s', p.polcmd, p.polpermissive,
           (SELECT array_agg(r::regrole::text ORDER BY r::regrole::text) FROM unnest(p.polroles) r), pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid))
    FROM pg_policy p JOIN relation c ON c.oid = p.polrelid
    UNION ALL
    SELECT 'statistics ' || s.stxname, pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s JOIN relation c ON c.oid = s.stxrelid
    UNION ALL
    SELECT format('operator %s', o.oid::regoperator), format('%s', to_jsonb(o) - '{oid,oprnamespace,oprowner,oprcom,oprnegate}'::text[] || jsonb_build_object(
           'commutator', o.oprcom::regoperator, 'negator', o.oprnegate::regoperator))
    FROM pg_operator o WHERE o.oid IN (SELECT objid FROM member WHERE classid = 'pg_operator'::regclass)
    UNION ALL
    SELECT 'cast', format('%s as %s with %s, context %s, method %s', k.castsource::regtype, k.casttarget::regtype, k.castfunc::regprocedure, k.castcontext, k.castmethod)
    FROM pg_cast k WHERE k.oid IN (SELECT objid FROM member WHERE classid = 'pg_cast'::regclass)
    UNION ALL
    SELECT 'schema ' || n.nspname, format('grants %s', (SELECT array_agg(i::text ORDER BY i::text) FROM unnest(n.nspacl) i)) FROM pg_namespace n WHERE n.nspname = 'revops'
    UNION ALL
    SELECT 'default grants', format('%s %s %s', d.defaclnamespace::regnamespace, d.defaclobjtype, d.defaclacl) FROM pg_default_acl d
    WHERE d.defaclnamespace = 'revops'::regnamespace
)
SELECT object, what FROM label ORDER BY object COLLATE "C", what COLLATE "C";
