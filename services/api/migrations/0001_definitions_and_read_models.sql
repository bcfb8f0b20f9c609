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

-- Flows. `content` is json, not jsonb: triggers, steps and rules come back as they were sent.
CREATE TABLE flow (
    flow_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspace,
    version int NOT NULL CHECK (version >= 1),
    published_version int NOT NULL DEFAULT 0,
    status text NOT NULL CHECK (status IN ('draft', 'active', 'paused', 'archived', 'deleted')),
    content json NOT NULL,
    name text NOT NULL,
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
    approved_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK ((status = 'approved') = (approved_at IS NOT NULL))
);
CREATE INDEX email_of_workspace ON email (workspace_id, created_at);

CREATE TABLE custom_field (
    custom_field_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspace,
    name text NOT NULL,
    api_name text NOT NULL,
    type text NOT NULL CHECK (type IN ('string', 'number', 'date', 'boolean')),
    UNIQUE (workspace_id, api_name)
);

-- The built-in directory: a projection of contact.events, like every other.
CREATE TABLE contact (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    fields jsonb NOT NULL DEFAULT '{}',
    custom_fields jsonb NOT NULL DEFAULT '{}',
    lists uuid[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, contact_id)
);
CREATE INDEX contact_by_email ON contact (workspace_id, lower(fields ->> 'email'));
CREATE TABLE contact_list (
    workspace_id uuid NOT NULL,
    list_id uuid NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, list_id)
);

-- Read models of memberships: what each is now, and everything that happened to it.
CREATE TABLE run (
    membership_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    sequence int NOT NULL,
    status text NOT NULL,
    run_status text NOT NULL,
    run jsonb NOT NULL,
    entered_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX run_of_flow ON run (flow_id, entered_at DESC, membership_id);
CREATE TABLE timeline (
    membership_id uuid NOT NULL,
    sequence int NOT NULL,
    kind text NOT NULL,
    step_id text,
    label text,
    occurred_at timestamptz NOT NULL,
    details jsonb NOT NULL,
    PRIMARY KEY (membership_id, sequence)
);

-- Why a contact did not get into a flow.
CREATE TABLE refusal (
    refusal_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    source_id text NOT NULL,
    entry_source text NOT NULL,
    reason text NOT NULL,
    refused_at timestamptz NOT NULL
);
CREATE INDEX refusal_of_flow ON refusal (workspace_id, flow_id, refused_at DESC);

-- Counts per flow. A batch adds one row per flow; a loop folds them. No row is updated by every
-- enrollment.
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
