-- assign: the map of who can do what, and where it is asked for

CREATE VIEW revops.capability_map AS
WITH member AS (
    SELECT r.rep, 'unit' AS scope_kind, r.unit AS scope FROM revops.rep r WHERE r.unit IS NOT NULL
    UNION ALL
    SELECT r.rep, 'territory', u.territory FROM revops.rep r JOIN revops.unit u ON u.unit = r.unit WHERE u.territory IS NOT NULL
), customer AS (
    SELECT a.account, 'unit' AS scope_kind, r.unit AS scope FROM revops.my_account a JOIN revops.rep r ON r.rep = a.owner WHERE r.unit IS NOT NULL
    UNION ALL
    SELECT a.account, 'territory', coalesce(a.territory, u.territory)
    FROM revops.my_account a LEFT JOIN revops.rep r ON r.rep = a.owner LEFT JOIN revops.unit u ON u.unit = r.unit
    WHERE coalesce(a.territory, u.territory) IS NOT NULL
), deal AS (
    SELECT c.scope_kind, c.scope, o.opportunity, o.account FROM customer c JOIN revops.my_opportunity o ON o.account = c.account AND o.status = 'open'
), asked AS (
    SELECT d.scope_kind, d.scope, n.skill, count(*) AS n, max(n.level) AS level
    FROM deal d JOIN revops.account_need n ON n.account = d.account GROUP BY d.scope_kind, d.scope, n.skill
    UNION ALL
    SELECT c.scope_kind, c.scope, k.skill, count(DISTINCT c.account), 1
    FROM revops.skill k
    JOIN revops.intent_state s ON s.intent = ANY (k.intents) AND s.subject_kind = 'account'
    JOIN revops.intent i ON i.intent = s.intent
    JOIN customer c ON c.account = s.subject
    WHERE revops.decayed(s.rank, i.half_life, revops.now()) >= 1
    GROUP BY c.scope_kind, c.scope, k.skill
), demand AS (
    SELECT x.scope_kind, x.scope, x.skill, sum(x.n) AS demand, max(x.level) AS level FROM asked x GROUP BY x.scope_kind, x.scope, x.skill
), head AS (
    -- an even share: of the skill that is asked for most, what one present person of the scope would carry; at least one
    SELECT m.scope_kind, m.scope,
           greatest(1, coalesce(max(d.n), 0) / count(*)::float8) AS share
    FROM member m
    LEFT JOIN (SELECT a.scope_kind, a.scope, max(a.demand) AS n FROM demand a GROUP BY a.scope_kind, a.scope) d USING (scope_kind, scope)
    WHERE revops.is_present(m.rep)
    GROUP BY m.scope_kind, m.scope
), held AS (
    SELECT m.scope_kind, m.scope, s.skill, m.rep, s.level
    FROM member m JOIN revops.rep_skill s ON s.rep = m.rep WHERE revops.is_present(m.rep)
), both_sides AS (
    SELECT k.scope_kind, k.scope, k.skill, coalesce(d.demand, 0) AS demand, count(h.rep) AS holders, min(h.rep) AS one_of_them
    FROM (SELECT d.scope_kind, d.scope, d.skill FROM demand d UNION SELECT h.scope_kind, h.scope, h.skill FROM held h) k
    LEFT JOIN demand d ON d.scope_kind = k.scope_kind AND d.scope = k.scope AND d.skill = k.skill
    LEFT JOIN held h ON h.scope_kind = k.scope_kind AND h.scope = k.scope AND h.skill = k.skill AND h.level >= coalesce(d.level, 1)
    GROUP BY k.scope_kind, k.scope, k.skill, d.demand
)
SELECT b.scope_kind, b.scope, k.dimension,
       count(*)::int AS skills,
       sum(b.demand)::float8 AS demand,
       sum(b.holders * coalesce(h.share, 1))::float8 AS supply,
       sum(greatest(b.demand - b.holders * coalesce(h.share, 1), 0))::float8 AS gap,
       sum(greatest(b.holders * coalesce(h.share, 1) - b.demand, 0))::float8 AS surplus,
       CASE WHEN sum(b.demand) > 0 THEN greatest(min(b.holders) FILTER (WHERE b.demand > 0) - 1, 0) END::int AS can_lose,
       coalesce(array_agg(b.one_of_them || ': ' || b.skill ORDER BY b.one_of_them, b.skill) FILTER (WHERE b.holders = 1), '{}') AS sole_holders,
       coalesce(array_agg(b.skill::text ORDER BY b.skill) FILTER (WHERE b.holders = 0), '{}') AS missing
FROM both_sides b
JOIN revops.skill k ON k.skill = b.skill
LEFT JOIN head h ON h.scope_kind = b.scope_kind AND h.scope = b.scope
GROUP BY b.scope_kind, b.scope, k.dimension;
COMMENT ON VIEW revops.capability_map IS 'Per unit and per territory, in each of the four dimensions: what is asked for, who can do it, and whose loss would lose a skill';
COMMENT ON COLUMN revops.capability_map.scope_kind IS 'unit or territory';
COMMENT ON COLUMN revops.capability_map.scope IS 'Its key';
COMMENT ON COLUMN revops.capability_map.dimension IS 'industry_knowledge, customer_relations, technical_understanding or local_resources';
COMMENT ON COLUMN revops.capability_map.skills IS 'Skills of the dimension that are asked for or held there';
COMMENT ON COLUMN revops.capability_map.demand IS 'Open opportunities of customers who need a skill of it, and customers who show an intent that asks for one, summed over skills';
COMMENT ON COLUMN revops.capability_map.supply IS 'What present people with the skill, at the highest level asked for, carry at an even share each, summed over skills';
COMMENT ON COLUMN revops.capability_map.gap IS 'What demand exceeds supply by, summed over the skills that are short';
COMMENT ON COLUMN revops.capability_map.surplus IS 'What supply exceeds demand by, summed over the skills of which there is more than is asked for';
COMMENT ON COLUMN revops.capability_map.can_lose IS 'How many people could go before a skill that is asked for is gone, at the worst; 0: the next one, or it is missing already; NULL: none is asked for';
COMMENT ON COLUMN revops.capability_map.sole_holders IS 'Single points of failure: "rep: skill"';
COMMENT ON COLUMN revops.capability_map.missing IS 'Skills that are asked for and nobody present has at the level';
