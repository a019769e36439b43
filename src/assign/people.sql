-- assign: what is known of people: skills, languages, hours, room for customers, and what each may do

CREATE TABLE revops.skill (
    skill       text COLLATE "C" PRIMARY KEY CHECK (skill <> '' AND octet_length(skill) <= 200),
    dimension   text COLLATE "C" NOT NULL
                CONSTRAINT skill_dimension_check CHECK (dimension IN ('industry_knowledge', 'customer_relations', 'technical_understanding', 'local_resources')),
    title       text,
    intents     text[] COLLATE "C"
);
COMMENT ON TABLE revops.skill IS 'Skills of the company''s own, each in one of four dimensions';
COMMENT ON COLUMN revops.skill.dimension IS 'industry_knowledge, customer_relations, technical_understanding or local_resources';
COMMENT ON COLUMN revops.skill.intents IS 'Intents that ask for the skill: a customer who shows one of them counts as demand in revops.capability_map';

CREATE TABLE revops.rep_skill (
    rep         text COLLATE "C" NOT NULL,
    skill       text COLLATE "C" NOT NULL CONSTRAINT rep_skill_skill_fkey REFERENCES revops.skill ON DELETE CASCADE,
    level       int NOT NULL CONSTRAINT rep_skill_level_check CHECK (level BETWEEN 1 AND 5),
    PRIMARY KEY (rep, skill)
);
CREATE INDEX rep_skill_skill_idx ON revops.rep_skill (skill, level DESC, rep);
COMMENT ON TABLE revops.rep_skill IS 'Who has which skill';
COMMENT ON COLUMN revops.rep_skill.level IS '1 (knows of it) to 5 (teaches it)';

ALTER TABLE revops.rep ADD COLUMN languages text[] COLLATE "C",
    ADD COLUMN calendar text COLLATE "C",
    ADD COLUMN max_accounts int CONSTRAINT rep_max_accounts_check CHECK (max_accounts >= 0);
COMMENT ON COLUMN revops.rep.languages IS 'Languages that the rep speaks, such as {zh,en}';
COMMENT ON COLUMN revops.rep.calendar IS 'The rep''s working hours; NULL: those of the unit';
COMMENT ON COLUMN revops.rep.max_accounts IS 'Customers that the rep can own at most; NULL is no limit';
ALTER TABLE revops.account ADD COLUMN languages text[] COLLATE "C";
COMMENT ON COLUMN revops.account.languages IS 'Languages of which whoever serves it must speak one; NULL: any will do';
-- whose customers, and whose deals
CREATE INDEX account_owner_idx ON revops.account (owner) WHERE owner IS NOT NULL;
CREATE INDEX account_territory_idx ON revops.account (territory) WHERE territory IS NOT NULL;
CREATE INDEX opportunity_owner_idx ON revops.opportunity (owner) WHERE status = 'open';

CREATE TABLE revops.account_need (
    account     text COLLATE "C" NOT NULL,
    skill       text COLLATE "C" NOT NULL CONSTRAINT account_need_skill_fkey REFERENCES revops.skill ON DELETE CASCADE,
    level       int NOT NULL DEFAULT 1 CONSTRAINT account_need_level_check CHECK (level BETWEEN 1 AND 5),
    required    boolean NOT NULL DEFAULT true,
    priority    int NOT NULL DEFAULT 1 CONSTRAINT account_need_priority_check CHECK (priority BETWEEN 1 AND 1000),
    PRIMARY KEY (account, skill)
);
CREATE INDEX account_need_skill_idx ON revops.account_need (skill);
COMMENT ON TABLE revops.account_need IS 'Skills that whoever serves a customer needs';
COMMENT ON COLUMN revops.account_need.required IS 'false: it may be dropped where nobody has it';
COMMENT ON COLUMN revops.account_need.priority IS 'Of those that are not required, 1 is dropped last';

SELECT pg_catalog.pg_extension_config_dump('revops.skill', '');
SELECT pg_catalog.pg_extension_config_dump('revops.rep_skill', '');
SELECT pg_catalog.pg_extension_config_dump('revops.absence', '');
SELECT pg_catalog.pg_extension_config_dump('revops.account_need', '');

CREATE FUNCTION revops.may(rep text, what text, account text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((
        SELECT NOT coalesce(bool_or(p.deny), false)
               AND ($2 = 'own' OR a.owner = r.rep OR o.unit = r.unit OR coalesce(bool_or(NOT p.deny), false))
        FROM revops.rep r
        JOIN revops.account a ON a.account = $3 COLLATE "C"
        LEFT JOIN revops.rep o ON o.rep = a.owner
        LEFT JOIN revops.permission p ON (p.grantee_kind = 'rep' AND p.grantee = r.rep OR p.grantee_kind = 'unit' AND p.grantee = r.unit)
            AND p.grantee IN (r.rep, r.unit) AND p.until > revops.now()
            -- who may write may read; who may not read may do nothing
            AND (p.what = $2 OR p.deny AND p.what = 'read' OR NOT p.deny AND $2 = 'read')
            AND CASE p.scope_kind WHEN 'all' THEN true WHEN 'account' THEN p.scope = a.account WHEN 'unit' THEN p.scope = o.unit
                     WHEN 'territory' THEN p.scope = a.territory WHEN 'industry' THEN p.scope = a.industry ELSE p.scope = a.segment END
        WHERE r.rep = $1 COLLATE "C" AND $2 IN ('read', 'write', 'own')
          -- a rep asks about those whom they see themselves
          AND ((SELECT revops.caller_bound()) IS NULL OR revops.caller_sees('rep', $1) AND revops.caller_sees('account', $3))
        GROUP BY r.rep, r.unit, a.owner, o.unit
    ), false)
$$;
COMMENT ON FUNCTION revops.may(text, text, text) IS
'Whether a rep may read, write or own a customer. Owner and unit of the owner read and write; anyone may come to own; rows of revops.permission add to that, and deny wins';

CREATE FUNCTION revops.is_present(rep text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM revops.rep r WHERE r.rep = $1 COLLATE "C" AND r.active)
       AND NOT EXISTS (SELECT FROM revops.absence b WHERE b.rep = $1 COLLATE "C" AND b.starts_at <= revops.now() AND b.ends_at > revops.now())
$$;
COMMENT ON FUNCTION revops.is_present(text) IS 'Whether a rep is active and not away at revops.now()';

CREATE FUNCTION revops.hours_overlap(time_zone text, week int4[], other_time_zone text, other_week int4[], at timestamptz) RETURNS float8
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revops_hours_overlap';
COMMENT ON FUNCTION revops.hours_overlap(text, int4[], text, int4[], timestamptz) IS
'Which share of a calendar''s week another calendar is open too, with the offsets of their zones at that time; time zone NULL: round the clock';
