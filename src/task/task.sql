-- task: cards, their three plans, and the line by which somebody must have answered

-- routing asks for the units on duty in a territory, and for the reps of a unit
CREATE INDEX duty_territory_idx ON revops.duty (territory);
CREATE INDEX rep_unit_idx ON revops.rep (unit, rep);

CREATE SEQUENCE revops.task_id_seq;

-- The unique keys hold the subject, so that the table can be distributed by it. Rows are written by the functions of task_open.sql and task_respond.sql only,
-- which keep task_plan and escalation in step with it: no foreign keys there, they would cost more than the rows.
CREATE TABLE revops.task (
    task_id     bigint NOT NULL DEFAULT nextval('revops.task_id_seq'),
    subject_kind revops.subject_kind NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    moment_id   uuid NOT NULL,
    rule        text COLLATE "C" NOT NULL,
    playbook    text COLLATE "C" NOT NULL,
    title       text NOT NULL,
    person      text COLLATE "C",
    account     text COLLATE "C",
    opportunity text COLLATE "C",
    context     jsonb NOT NULL DEFAULT '{}',
    owner       text COLLATE "C",
    unit        text COLLATE "C",
    territory   text COLLATE "C",
    moment_at   timestamptz NOT NULL,
    opened_at   timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    line        interval NOT NULL,
    calendar    text COLLATE "C",
    status      text COLLATE "C" NOT NULL DEFAULT 'open'
                CONSTRAINT task_status_check CHECK (status IN ('open', 'claimed', 'answered', 'completed', 'cancelled')),
    claimed_by  text COLLATE "C",
    claimed_at  timestamptz,
    answered_at timestamptz,
    answered_by text COLLATE "C",
    answered_by_event uuid,
    plan        int,
    note        text,
    outcome     text,
    completed_at timestamptz,
    cancelled_at timestamptz,
    PRIMARY KEY (subject, task_id),
    CONSTRAINT task_moment_key UNIQUE (subject, moment_id)
);
CREATE INDEX task_id_idx ON revops.task (task_id);
CREATE INDEX task_opened_at_idx ON revops.task (opened_at);
CREATE INDEX task_answered_at_idx ON revops.task (answered_at) WHERE answered_at IS NOT NULL;
CREATE INDEX task_owner_idx ON revops.task (owner, due_at) WHERE status IN ('open', 'claimed');
CREATE INDEX task_unowned_idx ON revops.task (unit, due_at) WHERE status = 'open' AND owner IS NULL;
-- what an answer at some time can touch: cards not answered yet, or answered later than that
CREATE INDEX task_person_idx ON revops.task (person, coalesce(answered_at, 'infinity')) WHERE status <> 'cancelled';
CREATE INDEX task_account_idx ON revops.task (account, coalesce(answered_at, 'infinity')) WHERE status <> 'cancelled';
CREATE INDEX task_opportunity_idx ON revops.task (opportunity, coalesce(answered_at, 'infinity')) WHERE status <> 'cancelled';
COMMENT ON TABLE revops.task IS 'Task cards, one for each moment whose rule has a playbook';
COMMENT ON COLUMN revops.task.task_id IS 'Number of the card';
COMMENT ON COLUMN revops.task.subject_kind IS 'What kind of subject completed the moment';
COMMENT ON COLUMN revops.task.subject IS 'Key of the subject';
COMMENT ON COLUMN revops.task.moment_id IS 'The moment that opened the card';
COMMENT ON COLUMN revops.task.rule IS 'Rule of the moment';
COMMENT ON COLUMN revops.task.playbook IS 'Playbook of the card';
COMMENT ON COLUMN revops.task.title IS 'Title of the card';
COMMENT ON COLUMN revops.task.person IS 'Person to reach';
COMMENT ON COLUMN revops.task.account IS 'Account of the customer';
COMMENT ON COLUMN revops.task.opportunity IS 'Opportunity, where the moment is about one';
COMMENT ON COLUMN revops.task.context IS 'The situation when the card was opened: name, account, segment, hottest intents, last touches, last contact';
COMMENT ON COLUMN revops.task.owner IS 'Rep who must answer; NULL: anyone of the unit may claim it';
COMMENT ON COLUMN revops.task.unit IS 'Unit of the owner, or the unit on duty';
COMMENT ON COLUMN revops.task.territory IS 'Territory of the account, or else of the unit';
COMMENT ON COLUMN revops.task.moment_at IS 'When the moment occurred';
COMMENT ON COLUMN revops.task.opened_at IS 'When the card was opened';
COMMENT ON COLUMN revops.task.due_at IS 'The line: when it must be answered';
COMMENT ON COLUMN revops.task.line IS 'Business time it was given';
COMMENT ON COLUMN revops.task.calendar IS 'Calendar that the line was counted in; NULL: round the clock';
COMMENT ON COLUMN revops.task.status IS 'open, claimed, answered, completed, or cancelled since the moment was retracted';
COMMENT ON COLUMN revops.task.claimed_by IS 'Rep who claimed it';
COMMENT ON COLUMN revops.task.claimed_at IS 'When it was claimed';
COMMENT ON COLUMN revops.task.answered_at IS 'When the customer was first answered';
COMMENT ON COLUMN revops.task.answered_by IS 'Rep who answered';
COMMENT ON COLUMN revops.task.answered_by_event IS 'The captured event that answered it; NULL: answered with revops.respond()';
COMMENT ON COLUMN revops.task.plan IS 'Rank of the plan that the rep followed, as in revops.task_plan';
COMMENT ON COLUMN revops.task.note IS 'What the rep noted';
COMMENT ON COLUMN revops.task.outcome IS 'What came of it';
COMMENT ON COLUMN revops.task.completed_at IS 'When it was completed';
COMMENT ON COLUMN revops.task.cancelled_at IS 'When it was cancelled';

CREATE TABLE revops.task_plan (
    subject     text COLLATE "C" NOT NULL,
    task_id     bigint NOT NULL,
    rank        int NOT NULL,
    plan        int NOT NULL,
    title       text NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    message     text NOT NULL,
    score       float8 NOT NULL,
    reason      text NOT NULL,
    PRIMARY KEY (subject, task_id, rank)
);
COMMENT ON TABLE revops.task_plan IS 'The three plans that a card offers, the best first';
COMMENT ON COLUMN revops.task_plan.subject IS 'Subject of the card';
COMMENT ON COLUMN revops.task_plan.task_id IS 'The card';
COMMENT ON COLUMN revops.task_plan.rank IS '1 fits best';
COMMENT ON COLUMN revops.task_plan.plan IS 'Number of the plan in the playbook';
COMMENT ON COLUMN revops.task_plan.title IS 'What to do';
COMMENT ON COLUMN revops.task_plan.channel IS 'Channel of the outreach';
COMMENT ON COLUMN revops.task_plan.message IS 'Message for this customer';
COMMENT ON COLUMN revops.task_plan.score IS 'Conditions met minus conditions missed, over conditions plus one: 0 is a plan for everyone, unknown facts count as neither';
COMMENT ON COLUMN revops.task_plan.reason IS 'Why it ranks so';

CREATE TABLE revops.escalation (
    subject_kind revops.subject_kind NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    task_id     bigint NOT NULL,
    level       int NOT NULL,
    share       float8 NOT NULL,
    role        text COLLATE "C" NOT NULL,
    due_at      timestamptz NOT NULL,
    fired_at    timestamptz,
    told        text COLLATE "C",
    stopped_at  timestamptz,
    PRIMARY KEY (subject, task_id, level)
);
CREATE INDEX escalation_due_idx ON revops.escalation (due_at) WHERE fired_at IS NULL AND stopped_at IS NULL;
COMMENT ON TABLE revops.escalation IS 'Levels of each card: who is told when, each exactly once, until the card is answered. Levels below 1 are those that the rule tells at once, answered or not';
COMMENT ON COLUMN revops.escalation.subject_kind IS 'Kind of the subject';
COMMENT ON COLUMN revops.escalation.subject IS 'Subject of the card';
COMMENT ON COLUMN revops.escalation.task_id IS 'The card';
COMMENT ON COLUMN revops.escalation.level IS 'Level, in the order of time; below 1: told when the card was opened, as the rule says';
COMMENT ON COLUMN revops.escalation.share IS 'Share of the line that has passed then; 0: told at once';
COMMENT ON COLUMN revops.escalation.role IS 'Who is to be told: owner, coach or director';
COMMENT ON COLUMN revops.escalation.due_at IS 'When';
COMMENT ON COLUMN revops.escalation.fired_at IS 'When it was done; NULL: not yet, or not needed';
COMMENT ON COLUMN revops.escalation.told IS 'The rep who was told; NULL: nobody holds the role';
COMMENT ON COLUMN revops.escalation.stopped_at IS 'Since when it is not needed: the card was answered (levels from 1) or cancelled';

SELECT pg_catalog.pg_extension_config_dump('revops.task_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('revops.task', '');
SELECT pg_catalog.pg_extension_config_dump('revops.task_plan', '');
SELECT pg_catalog.pg_extension_config_dump('revops.escalation', '');
