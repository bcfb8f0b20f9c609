-- The newest definition of every flow, and the newest approved content of every mail.
CREATE TABLE flow_definition (
    flow_id uuid PRIMARY KEY,
    version int NOT NULL,
    definition jsonb NOT NULL
);
CREATE TABLE email_definition (
    email_id uuid PRIMARY KEY,
    version int NOT NULL,
    content jsonb NOT NULL
);

-- What is known of each contact, as its events tell it.
CREATE TABLE contact (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    fields jsonb NOT NULL,
    custom_fields jsonb NOT NULL,
    lists uuid[] NOT NULL,
    PRIMARY KEY (workspace_id, contact_id)
) WITH (fillfactor = 80);

-- One contact's one run through one flow. The states are drawn in libs/domain/membership.py.
CREATE TABLE membership (
    membership_id uuid PRIMARY KEY,
    partition int NOT NULL,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    source_id text NOT NULL,
    entry_source text NOT NULL,
    entered_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'waiting', 'completed', 'dropped')),
    waiting_on text CHECK (waiting_on IN ('timer', 'delivery', 'reactivation')),
    hop int NOT NULL CHECK (hop >= 0),
    step_id text,
    waiting_until timestamptz,
    parked jsonb,
    dynamic_context jsonb NOT NULL,
    engagement jsonb NOT NULL,
    ended_at timestamptz,
    drop_reason text,
    sequence int NOT NULL CHECK (sequence >= 0),
    -- A live membership has exactly one reason to move; an ended one has none.
    CONSTRAINT live_memberships_move CHECK (
        (status IN ('active', 'waiting')) = (waiting_on IS NOT NULL)),
    CONSTRAINT ended_memberships_say_when CHECK (
        (status IN ('completed', 'dropped')) = (ended_at IS NOT NULL)),
    CONSTRAINT dropped_memberships_say_why CHECK (
        (status = 'dropped') = (drop_reason IS NOT NULL)),
    CONSTRAINT timers_are_due_some_time CHECK (waiting_on <> 'timer' OR waiting_until IS NOT NULL),
    CONSTRAINT parked_memberships_know_what_happened CHECK (
        (waiting_on = 'reactivation') = (parked IS NOT NULL) OR waiting_on IS NULL),
    -- One cause enrolls a contact into a flow at most once.
    CONSTRAINT one_enrollment_per_cause UNIQUE (flow_id, contact_id, source_id)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX one_live_membership_per_flow ON membership (workspace_id, contact_id, flow_id)
 WHERE ended_at IS NULL;
CREATE INDEX live_memberships_of_flow ON membership (flow_id, partition, membership_id)
 WHERE ended_at IS NULL;

-- The journal of deliveries: written before and after each attempt.
CREATE TABLE delivery (
    membership_id uuid NOT NULL,
    hop int NOT NULL,
    partition int NOT NULL,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    step_id text NOT NULL,
    email_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'sending', 'retry', 'sent', 'skipped', 'failed')),
    attempt int NOT NULL DEFAULT 0,
    claimed_epoch bigint,
    sender text,
    recipient text,
    message bytea,
    reason text,
    planned_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (membership_id, hop),
    CHECK ((status IN ('pending', 'sending', 'retry')) = (message IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX delivery_under_way ON delivery (partition, planned_at)
 WHERE status IN ('pending', 'sending');
