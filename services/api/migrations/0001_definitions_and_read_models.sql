-- Tenants, and the keys that open them. A key is kept as a digest; its prefix finds it.
CREATE TABLE workspace (
    workspace_id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE api_key (
    prefix text PRIMARY KEY,
    digest bytea NOT NULL,
    workspace_id uuid NOT NULL REFERENCES workspace,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

-- Flows. `document` is what a user wrote, in which dialect: json, not jsonb, because it comes back as
-- it was sent. `definition` is what that was compiled to, by which version of the compiler.
CREATE TABLE flow (
    flow_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspace,
    version int NOT NULL CHECK (version >= 1),
    published_version int NOT NULL DEFAULT 0,
    status text NOT NULL CHECK (status IN ('draft', 'active', 'paused', 'archived', 'deleted')),
    dialect text NOT NULL,
    document json NOT NULL,
    definition jsonb NOT NULL,
    compiler int NOT NULL,
    name text NOT NULL,
    description text,
    archived_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX flow_of_workspace ON flow (workspace_id, updated_at);

CREATE TABLE email (
    email_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspace,
    version int NOT NULL CHECK (version >= 1),
    status text NOT NULL CHECK (status IN ('draft', 'approved')),
    content jsonb NOT NULL,
    text_is_stale boolean NOT NULL DEFAULT false,  -- its HTML has changed since its author wrote its text
    contact_tags text[] NOT NULL DEFAULT '{}',  -- the fields of contacts it names; known once approved
    approved_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK ((status = 'approved') = (approved_at IS NOT NULL))
);
CREATE INDEX email_of_workspace ON email (workspace_id, created_at);

-- What web pages are made of: HTML with merge tags.
CREATE TABLE page_template (
    template_id text PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspace,
    version int NOT NULL CHECK (version >= 1),
    status text NOT NULL CHECK (status IN ('draft', 'approved')),
    name text NOT NULL,
    html text NOT NULL,
    approved_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK ((status = 'approved') = (approved_at IS NOT NULL))
);
CREATE INDEX page_template_of_workspace ON page_template (workspace_id, created_at);

CREATE TABLE custom_field (
    custom_field_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspace,
    name text NOT NULL,
    api_name text NOT NULL,
    type text NOT NULL CHECK (type IN ('string', 'number', 'date', 'boolean')),
    active boolean NOT NULL DEFAULT true,
    UNIQUE (workspace_id, api_name)
);

-- The built-in directory: a projection of contact.events, like every other. Of a deleted contact
-- nothing stays but that it is gone: an update that comes late must not bring it back, and what
-- comes late of its memberships is written without what it says of the person.
--
-- `revision` is new with every write, and never again the same, whatever becomes of the contact: who
-- asks twice at once for the same change has seen the same revision, and asks but once.
CREATE SEQUENCE contact_revision;
CREATE TABLE contact (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    fields jsonb NOT NULL DEFAULT '{}',
    custom_fields jsonb NOT NULL DEFAULT '{}',
    lists uuid[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    revision bigint NOT NULL DEFAULT nextval('contact_revision'),
    PRIMARY KEY (workspace_id, contact_id)
);
CREATE INDEX contact_by_creation ON contact (workspace_id, created_at, contact_id);
-- The two that are searched by their beginnings compare text byte by byte.
CREATE INDEX contact_by_email ON contact (workspace_id, lower(fields ->> 'email') text_pattern_ops);
CREATE INDEX contact_by_name ON contact (workspace_id, (lower(coalesce(fields ->> 'displayName',
    coalesce(fields ->> 'firstName' || ' ', '') || coalesce(fields ->> 'lastName', ''))))
    text_pattern_ops);
CREATE INDEX contact_by_phone ON contact (workspace_id, (fields ->> 'phone'))
 WHERE fields ->> 'phone' IS NOT NULL;
-- Who is about to create a contact with an address, or to give a contact this address: nobody else
-- does so at the same time. A claim that was not given back ends by itself.
CREATE TABLE address_claim (
    workspace_id uuid NOT NULL,
    email text NOT NULL,
    contact_id uuid NOT NULL,
    chosen boolean NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, email)
);
CREATE INDEX address_claim_by_end ON address_claim (expires_at);
CREATE TABLE deleted_contact (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT now(),
    -- When what memberships and refusals say of the person is erased next; null once it is done.
    erase_at timestamptz DEFAULT now(),
    PRIMARY KEY (workspace_id, contact_id, deleted_at)
) PARTITION BY RANGE (deleted_at);
CREATE TABLE deleted_contact_default PARTITION OF deleted_contact DEFAULT;
CREATE INDEX deleted_contact_to_erase ON deleted_contact (erase_at) WHERE erase_at IS NOT NULL;
-- The last change of a contact that the directory has published, until it has followed it itself:
-- so long what it knows of the contact is no ground to say that a change would make no difference.
CREATE TABLE published_change (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    event_key uuid NOT NULL,
    PRIMARY KEY (workspace_id, contact_id)
) WITH (fillfactor = 50);
-- A dynamic list is its rules: as they were written, and in the engine's language. `rests_on` names
-- the lists they ask about.
CREATE TABLE contact_list (
    workspace_id uuid NOT NULL,
    list_id uuid NOT NULL,
    kind text NOT NULL DEFAULT 'static' CHECK (kind IN ('static', 'dynamic')),
    name text NOT NULL,
    description text,
    rules jsonb,
    written json,
    rests_on uuid[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, list_id),
    CHECK ((kind = 'dynamic') = (rules IS NOT NULL))
);
CREATE INDEX contact_list_by_creation ON contact_list (workspace_id, created_at, list_id);
-- The other way round of `contact.lists`: who is on a static list, in the order of their ids.
CREATE TABLE list_member (
    workspace_id uuid NOT NULL,
    list_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    PRIMARY KEY (workspace_id, list_id, contact_id)
);
-- What was submitted by nobody who can be named: neither an address nor a phone number came with it.
-- Any other submission is an event about its contact.
CREATE TABLE form_submission (
    submission_id text NOT NULL,
    workspace_id uuid NOT NULL,
    form_id text NOT NULL,
    tent_id uuid,
    fields json NOT NULL,
    submitted_at timestamptz NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, form_id, submission_id, stored_at)
) PARTITION BY RANGE (stored_at);
CREATE TABLE form_submission_default PARTITION OF form_submission DEFAULT;
CREATE INDEX form_submission_by_time
    ON form_submission (workspace_id, form_id, submitted_at, submission_id);

-- Read models of memberships. Live ones stand in two plain tables: what each is now, and one row of
-- its timeline per batch of walks. At its end a membership moves, whole, into one row of
-- `ended_membership`. So what is ended is kept as long as it is wanted and goes a month at a time:
-- dropping a partition takes memberships and timelines together and deletes no row. What is live is
-- never dropped, however long it waits.
CREATE TABLE membership (
    membership_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    sequence int NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'waiting')),
    current_step_id text,
    waiting_until timestamptz,
    entry_source text NOT NULL,
    dynamic_context json NOT NULL,
    entered_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX membership_of_flow ON membership (flow_id, entered_at DESC, membership_id);
CREATE INDEX membership_of_contact ON membership (contact_id);

-- `entries` is a list, in order; `sequence` is the number of the last one. Nobody looks inside them
-- here, so they are json (text), which costs less to write than jsonb.
CREATE TABLE timeline (
    membership_id uuid NOT NULL,
    sequence int NOT NULL,
    entries json NOT NULL,
    PRIMARY KEY (membership_id, sequence)
);

-- `timeline` holds lists of entries, one after the other: the live rows' as they were, and those of
-- the last walk. `stored_at` is real time, as this database knows it.
CREATE TABLE ended_membership (
    membership_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    sequence int NOT NULL,
    status text NOT NULL CHECK (status IN ('completed', 'dropped')),
    run_status text NOT NULL CHECK (run_status IN ('completed', 'failed', 'exited_flow')),
    current_step_id text,
    entry_source text NOT NULL,
    dynamic_context json NOT NULL,
    entered_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    drop_reason text,
    updated_at timestamptz NOT NULL,
    timeline json[] NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (membership_id, stored_at)
) PARTITION BY RANGE (stored_at);
CREATE TABLE ended_membership_default PARTITION OF ended_membership DEFAULT;
CREATE INDEX ended_membership_of_flow ON ended_membership (flow_id, entered_at DESC, membership_id);
CREATE INDEX ended_membership_of_contact ON ended_membership (contact_id);

-- All of them. A list of a flow's memberships reads the indexes of both, in step, newest first.
CREATE VIEW every_membership AS
SELECT membership_id, workspace_id, flow_id, contact_id, sequence, status, 'in_flow' AS run_status,
       current_step_id, waiting_until, entry_source, dynamic_context, entered_at,
       NULL::timestamptz AS ended_at, NULL AS drop_reason, updated_at, NULL::json[] AS timeline
  FROM membership
 UNION ALL
SELECT membership_id, workspace_id, flow_id, contact_id, sequence, status, run_status,
       current_step_id, NULL, entry_source, dynamic_context, entered_at,
       ended_at, drop_reason, updated_at, timeline
  FROM ended_membership;

-- Why a contact did not get into a flow: asked by flow as often as by contact.
CREATE TABLE refusal (
    refusal_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    source_id text NOT NULL,
    entry_source text NOT NULL,
    reason text NOT NULL,
    refused_at timestamptz NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (refusal_id, stored_at)
) PARTITION BY RANGE (stored_at);
CREATE TABLE refusal_default PARTITION OF refusal DEFAULT;
CREATE INDEX refusal_of_flow ON refusal (workspace_id, flow_id, refused_at DESC);
CREATE INDEX refusal_of_contact ON refusal (workspace_id, contact_id, refused_at DESC);

-- Web pages that steps have made: a queue of those to be made, and what came of each. `asked` is what
-- one is to be made of, and goes once it is made. One that is generated is claimed by moving
-- `next_attempt_at` on: whoever has not said by then what came of it is taken for dead.
CREATE TABLE web_page (
    page_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    membership_id uuid NOT NULL,
    hop int NOT NULL,
    generated boolean NOT NULL,
    status text NOT NULL DEFAULT 'requested'
        CHECK (status IN ('requested', 'published', 'made', 'failed')),
    asked json,
    attempt int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    name text,
    alias text,
    html text,
    warnings text[] NOT NULL DEFAULT '{}',
    reason text,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (page_id, stored_at),
    CHECK ((status = 'requested') = (asked IS NOT NULL)),
    CHECK ((status IN ('published', 'made')) = (html IS NOT NULL))
) PARTITION BY RANGE (stored_at);
CREATE TABLE web_page_default PARTITION OF web_page DEFAULT;
CREATE INDEX web_page_to_make ON web_page (generated, workspace_id, next_attempt_at)
 WHERE status = 'requested';
CREATE INDEX web_page_of_contact ON web_page (contact_id);
-- Which page has an alias. It ends with its page; a table in partitions could not keep it unique.
CREATE TABLE page_alias (
    workspace_id uuid NOT NULL,
    alias text NOT NULL,
    page_id uuid NOT NULL,
    stored_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, alias)
);
CREATE INDEX page_alias_by_age ON page_alias (stored_at);

-- Counts per flow. A batch adds one row per flow; a loop folds them. No row is updated by every
-- enrollment. They count all there ever were, also those that are no longer kept.
CREATE TABLE flow_count (
    flow_id uuid PRIMARY KEY,
    entered bigint NOT NULL,
    active bigint NOT NULL,
    waiting bigint NOT NULL,
    completed bigint NOT NULL,
    dropped bigint NOT NULL,
    last_entry_at timestamptz
);
CREATE TABLE flow_count_change (
    flow_id uuid NOT NULL,
    entered bigint NOT NULL,
    active bigint NOT NULL,
    waiting bigint NOT NULL,
    completed bigint NOT NULL,
    dropped bigint NOT NULL,
    last_entry_at timestamptz
);
CREATE INDEX flow_count_change_by_flow ON flow_count_change (flow_id);
