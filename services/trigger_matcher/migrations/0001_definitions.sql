CREATE SEQUENCE flow_triggers_revision;

-- The triggers of every flow, as its newest definition has them; `revision` orders the changes.
CREATE TABLE flow_triggers (
    flow_id uuid PRIMARY KEY,
    version int NOT NULL,
    definition jsonb NOT NULL,
    revision bigint NOT NULL
);
CREATE UNIQUE INDEX flow_triggers_by_revision ON flow_triggers (revision);
