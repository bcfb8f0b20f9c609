CREATE SEQUENCE flow_triggers_revision;

-- The triggers of every flow, as its newest definition has them; `revision` orders the changes.
CREATE TABLE flow_triggers (
    flow_id uuid PRIMARY KEY,
    version int NOT NULL,
    definition jsonb NOT NULL,
    revision bigint NOT NULL
);
CREATE UNIQUE INDEX flow_triggers_by_revision ON flow_triggers (revision);

-- Events that were seen, each by a digest of its workspace, source and id. One partition per week
-- of real time, dropped when it is old. The column holds the week and not the moment, so that
-- within a week the database itself refuses an event that comes twice at once.
CREATE TABLE seen_event (
    key uuid NOT NULL,
    week timestamptz NOT NULL DEFAULT date_trunc('week', now(), 'UTC'),
    PRIMARY KEY (key, week)
) PARTITION BY RANGE (week);
CREATE TABLE seen_event_default PARTITION OF seen_event DEFAULT;
