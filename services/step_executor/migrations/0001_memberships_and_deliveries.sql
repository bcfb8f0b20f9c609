-- The newest definition of every flow, and the newest approved content of every mail.
-- `applied_version` is the last one that concerned those who were inside: its commands to bring
-- them in line overtake those of earlier ones.
CREATE TABLE flow_definition (
    flow_id uuid PRIMARY KEY,
    version int NOT NULL,
    applied_version int NOT NULL,
    status text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    definition jsonb NOT NULL
);
CREATE TABLE email_definition (
    email_id uuid PRIMARY KEY,
    version int NOT NULL,
    content jsonb NOT NULL
);

-- What is known of each contact, as its events tell it. A contact that is gone leaves a row without
-- anything of it for some time, so that an update that comes late does not bring it back. `times` says
-- when each fact was said, so that what comes late, or again, does not overwrite what is newer.
-- Contacts of one partition lie together: what it is asked about all of them is a range.
CREATE TABLE contact (
    partition int NOT NULL,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    fields jsonb NOT NULL,
    custom_fields jsonb NOT NULL,
    lists uuid[] NOT NULL,
    times jsonb NOT NULL DEFAULT '{}',
    deleted_at timestamptz,
    PRIMARY KEY (partition, workspace_id, contact_id)
) WITH (fillfactor = 80);
CREATE INDEX deleted_contact ON contact (deleted_at) WHERE deleted_at IS NOT NULL;

-- The fields that date triggers of active flows go by, or once went by. Only of these is the
-- scheduler told: most workspaces have none, and few contacts would ever be asked for.
CREATE TABLE date_field (
    workspace_id uuid NOT NULL,
    field text NOT NULL,
    PRIMARY KEY (workspace_id, field)
);

-- Live memberships: one contact's one run through one flow. The states are drawn in
-- libs/domain/membership.py. A membership that ends moves to `ended_membership`, so this table and
-- its indexes stay as small as what is going on, however long the history grows.
CREATE TABLE membership (
    membership_id uuid PRIMARY KEY,
    partition int NOT NULL,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    entry_source text NOT NULL,
    entered_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'waiting')),
    -- A live membership has exactly one reason to move.
    waiting_on text NOT NULL CHECK (
        waiting_on IN ('timer', 'delivery', 'event', 'answer', 'reactivation')),
    hop int NOT NULL CHECK (hop >= 0),
    step_id text,
    stood_at timestamptz NOT NULL,
    waiting_until timestamptz,
    times_out_at timestamptz,
    -- Keys of the facts by which events may move or end it, and the version of these keys. No index:
    -- a contact has few live memberships, and any column in an index makes every move dearer.
    listens bigint[] NOT NULL,
    keying int NOT NULL,
    parked jsonb,
    dynamic_context jsonb NOT NULL,
    engagement jsonb NOT NULL,
    sequence int NOT NULL CHECK (sequence >= 0),
    -- How many flows, one causing the next, led to it: what tells a loop of flows.
    depth int NOT NULL DEFAULT 0,
    CONSTRAINT timers_are_due_some_time CHECK (
        waiting_on NOT IN ('timer', 'answer') OR waiting_until IS NOT NULL),
    CONSTRAINT waits_listen CHECK (waiting_on <> 'event' OR cardinality(listens) > 0),
    CONSTRAINT parked_memberships_know_what_happened CHECK (
        (waiting_on = 'reactivation') = (parked IS NOT NULL)),
    CONSTRAINT one_live_membership_per_flow UNIQUE (contact_id, flow_id, workspace_id)
) WITH (fillfactor = 80);
CREATE INDEX memberships_of_flow ON membership (flow_id, partition, membership_id);

-- What the form said by which a contact entered: written once, so that moving on stays narrow, and
-- erased when the run ends.
CREATE TABLE membership_entry (
    membership_id uuid PRIMARY KEY,
    entry jsonb NOT NULL
);

-- Memberships that have ended, kept for a time that is a setting. `archived_at` is real time, also
-- where the clock runs fast, and decides which time partition a row is in and when it goes.
CREATE TABLE ended_membership (
    archived_at timestamptz NOT NULL DEFAULT now(),
    membership_id uuid NOT NULL,
    partition int NOT NULL,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    entry_source text NOT NULL,
    entered_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('completed', 'dropped')),
    hop int NOT NULL,
    step_id text,
    dynamic_context jsonb NOT NULL,
    engagement jsonb NOT NULL,
    sequence int NOT NULL,
    ended_at timestamptz NOT NULL,
    drop_reason text,
    CONSTRAINT dropped_memberships_say_why CHECK ((status = 'dropped') = (drop_reason IS NOT NULL))
) PARTITION BY RANGE (archived_at);
CREATE TABLE ended_membership_default PARTITION OF ended_membership DEFAULT;
CREATE INDEX ended_membership_of_contact ON ended_membership (contact_id, flow_id);

-- What contacts did: what was recorded of them, and what became of mails and forms. Only added to.
-- `recorded_at` is real time, `at` is when it happened as its event says. An event is here once: who
-- adds one looks for it before. Months that are older than a setting go, and what they held is
-- counted in `activity_total` from then on, so that all there ever was is this and that together.
CREATE TABLE activity (
    recorded_at timestamptz NOT NULL DEFAULT now(),
    at timestamptz NOT NULL,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    event_key uuid NOT NULL,
    metric text NOT NULL,
    email_id uuid,
    form_id text,
    tent_id uuid
) PARTITION BY RANGE (recorded_at);
CREATE TABLE activity_default PARTITION OF activity DEFAULT;
CREATE INDEX activity_of_contact ON activity (contact_id, metric, at);
CREATE TABLE activity_total (
    contact_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    metric text NOT NULL,
    email_id uuid,
    form_id text,
    tent_id uuid,
    number bigint NOT NULL CHECK (number > 0),
    CONSTRAINT one_total_of_each UNIQUE NULLS NOT DISTINCT (
        contact_id, workspace_id, metric, email_id, form_id, tent_id)
);

-- Count what was recorded before an instant in the totals: its partition goes in the same
-- transaction. Adding up may take long, so nothing is locked meanwhile; who is erased in that time
-- is taken out of the totals once nobody can erase any more.
CREATE FUNCTION fold_activity(before timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    folded text;
BEGIN
    INSERT INTO activity_total AS mine (
           contact_id, workspace_id, metric, email_id, form_id, tent_id, number)
    SELECT contact_id, workspace_id, metric, email_id, form_id, tent_id, count(*)
      FROM activity
     WHERE recorded_at < before
     GROUP BY contact_id, workspace_id, metric, email_id, form_id, tent_id
        ON CONFLICT ON CONSTRAINT one_total_of_each DO UPDATE
       SET number = mine.number + EXCLUDED.number;
    FOR folded IN SELECT partition FROM partitions_before('activity', before) LOOP
        EXECUTE format('LOCK TABLE %s IN SHARE MODE', folded);
    END LOOP;
    DELETE FROM activity_total AS mine
     USING contact
     WHERE contact.deleted_at > now() - interval '1 hour'
       AND contact.contact_id = mine.contact_id
       AND contact.workspace_id = mine.workspace_id;
END $$;

-- Deliveries that are planned or under way: a queue. Rows leave it when their result was taken.
--   pending   may be claimed
--   later     is to be tried again, not before `next_attempt_at`; then it is pending
--   held      its flow is paused; only a change of the flow releases it
--   claimed   a sender is at it, under the lease named by `claim`
--   settled   its result is known; the owner of the partition has yet to walk the membership on
CREATE TABLE delivery (
    membership_id uuid NOT NULL,
    hop int NOT NULL,
    partition int NOT NULL,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    step_id text NOT NULL,
    -- A mail goes to our one mail server; a webhook to the host and port that `target` names.
    channel text NOT NULL DEFAULT 'email' CHECK (channel IN ('email', 'webhook')),
    target text NOT NULL DEFAULT '',
    email_id uuid,
    operational boolean NOT NULL,
    dynamic_context jsonb NOT NULL,
    -- What the walk that planned it asked the contact's owner to change: it is not known here yet.
    asked jsonb,
    status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'later', 'held', 'claimed', 'settled')),
    planned_at timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    attempt int NOT NULL DEFAULT 0,
    takeovers int NOT NULL DEFAULT 0,
    ambiguous int NOT NULL DEFAULT 0,
    claim uuid,
    claimed_at timestamptz,
    outcome text CHECK (outcome IN ('sent', 'skipped', 'failed')),
    reason text,
    -- The mail or payload as it was handed over, kept only where it must be handed over again.
    sender text,
    recipient text,
    message bytea,
    PRIMARY KEY (membership_id, hop),
    CONSTRAINT mails_have_content_and_webhooks_a_target CHECK (
        CASE channel WHEN 'email' THEN email_id IS NOT NULL ELSE target <> '' END),
    CONSTRAINT claims_name_a_lease CHECK ((status = 'claimed') = (claim IS NOT NULL)),
    CONSTRAINT settled_deliveries_have_an_outcome CHECK ((status = 'settled') = (outcome IS NOT NULL))
) WITH (
    fillfactor = 70,
    -- A queue: its dead rows must go soon, for the sake of those who look for its head.
    autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);
-- Served by workspace in turn, so that nobody's million mails delay another's ten; webhooks within
-- it by target, so that those to one that is down are passed by in one step. Only what may be
-- claimed now is in it: what waits for its next attempt would be passed by again and again.
CREATE INDEX pending_delivery ON delivery (channel, workspace_id, target, next_attempt_at)
 WHERE status = 'pending';
CREATE INDEX later_delivery ON delivery (next_attempt_at) WHERE status = 'later';
CREATE INDEX claimed_delivery ON delivery (claim) WHERE status = 'claimed';
CREATE INDEX settled_delivery ON delivery (partition, next_attempt_at) WHERE status = 'settled';

-- Deliveries that are over, without anything personal.
CREATE TABLE ended_delivery (
    archived_at timestamptz NOT NULL DEFAULT now(),
    membership_id uuid NOT NULL,
    hop int NOT NULL,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    step_id text NOT NULL,
    channel text NOT NULL DEFAULT 'email',
    email_id uuid,
    outcome text NOT NULL,
    reason text,
    attempt int NOT NULL,
    takeovers int NOT NULL,
    ambiguous int NOT NULL,
    planned_at timestamptz NOT NULL
) PARTITION BY RANGE (archived_at);
CREATE TABLE ended_delivery_default PARTITION OF ended_delivery DEFAULT;
CREATE INDEX ended_delivery_of_membership ON ended_delivery (membership_id);

-- Sending processes. A row is a lease: whoever sees the same heartbeat for a whole lease takes it
-- away. How long that is, each says itself: it is a setting, and may be being changed.
CREATE TABLE sender (
    lease uuid PRIMARY KEY,
    seconds float8 NOT NULL CHECK (seconds > 0),
    heartbeat bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);

-- How far each partition of step.commands is behind, as its owner says.
CREATE TABLE partition_lag (
    partition int PRIMARY KEY,
    seconds float8 NOT NULL,
    measured_at timestamptz NOT NULL
) WITH (fillfactor = 20);
