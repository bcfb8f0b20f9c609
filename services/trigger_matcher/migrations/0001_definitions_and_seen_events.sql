CREATE SEQUENCE flow_definition_revision;

-- The newest definition of every flow; `revision` orders the changes.
CREATE TABLE flow_definition (
    flow_id uuid PRIMARY KEY,
    version int NOT NULL,
    definition jsonb NOT NULL,
    revision bigint NOT NULL
);
CREATE UNIQUE INDEX flow_definition_by_revision ON flow_definition (revision);

-- Events that were seen. The same id from the same source counts once.
CREATE TABLE seen_event (
    workspace_id uuid NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, source, event_id)
);
CREATE INDEX seen_event_by_age ON seen_event USING brin (seen_at);
