-- Numbers timers, so that those due at the same instant have an order.
CREATE SEQUENCE timer_number;

-- Append-only, with one table per day (UTC), opened when the first timer falls into it and dropped
-- when every partition's watermark has passed it. A far day has no index, which makes keeping
-- timers cheap; no day is reached without one.
CREATE TABLE timer (
    partition int NOT NULL,
    due_at timestamptz NOT NULL,
    number bigint NOT NULL DEFAULT nextval('timer_number'),
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    membership_id uuid NOT NULL,
    hop int NOT NULL
) PARTITION BY RANGE (due_at);

-- The days that are open.
CREATE TABLE timer_day (day date PRIMARY KEY);

-- Up to where each partition has fired: everything at or before (fired_until, fired_number).
CREATE TABLE timer_watermark (
    partition int PRIMARY KEY,
    fired_until timestamptz NOT NULL,
    fired_number bigint NOT NULL
) WITH (fillfactor = 20);

CREATE FUNCTION timer_day_table(day date) RETURNS text
LANGUAGE sql IMMUTABLE RETURN 'timer_' || to_char(day::timestamp, 'YYYYMMDD');

CREATE FUNCTION timer_day_index(day date) RETURNS text
LANGUAGE sql IMMUTABLE RETURN timer_day_table(day) || '_due';

-- Whether a day can be read in order. What a builder that died has left is an index that cannot.
CREATE FUNCTION timer_day_is_indexed(day date) RETURNS boolean
LANGUAGE sql STABLE RETURN EXISTS (
    SELECT FROM pg_index WHERE indexrelid = to_regclass(timer_day_index(day)) AND indisvalid);

-- Open these days, unless they are open already; those up to `near` with their index, which costs
-- nothing while they are empty.
CREATE FUNCTION open_timer_days(days date[], near date) RETURNS void
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    wanted date;
BEGIN
    -- One process at a time, until its transaction ends; then the days are looked at.
    PERFORM pg_advisory_xact_lock(hashtext('timer_day'));
    FOR wanted IN SELECT DISTINCT d.day FROM unnest(days) AS d (day)
                   WHERE d.day NOT IN (SELECT timer_day.day FROM timer_day) ORDER BY 1 LOOP
        -- Made apart and attached: unlike PARTITION OF, that stops neither readers nor writers.
        EXECUTE format('CREATE TABLE %I (LIKE timer INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                       timer_day_table(wanted));
        IF wanted <= near THEN
            EXECUTE format('CREATE INDEX %I ON %I (partition, due_at, number)',
                           timer_day_index(wanted), timer_day_table(wanted));
        END IF;
        EXECUTE format('ALTER TABLE timer ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       timer_day_table(wanted), wanted::timestamptz, (wanted + 1)::timestamptz);
        INSERT INTO timer_day (day) VALUES (wanted);
    END LOOP;
END $$;

-- Drop the days that lie wholly before an instant; say how many. A day that is gone already, or
-- is locked just now, is no fault: the latter is left for the next time.
CREATE FUNCTION drop_timer_days(passed timestamptz) RETURNS int
LANGUAGE plpgsql SET timezone = 'UTC' SET lock_timeout = '1s' AS $$
DECLARE
    spent date;
    done int := 0;
BEGIN
    FOR spent IN SELECT day FROM timer_day WHERE (day + 1)::timestamptz <= passed ORDER BY day LOOP
        EXECUTE format('DROP TABLE IF EXISTS %I', timer_day_table(spent));
        DELETE FROM timer_day WHERE day = spent;
        done := done + 1;
    END LOOP;
    RETURN done;
END $$;

-- Fields that hold dates, under a number: dates name theirs in four bytes.
CREATE TABLE date_field (
    field_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id uuid NOT NULL,
    field text NOT NULL,
    UNIQUE (workspace_id, field)
);

-- The dates contacts have, in the partition of the contact, filed under month and day (310 for
-- 10 March, UTC): what falls due on a day is a range of the key. Columns stand so that a row is
-- small; with its key it takes some 120 bytes. `set_at`: a moment past by then does not count.
CREATE TABLE contact_date (
    value timestamptz NOT NULL,
    set_at timestamptz NOT NULL,
    partition int NOT NULL,
    field_id int NOT NULL,
    contact_id uuid NOT NULL,
    key smallint NOT NULL,
    bare boolean NOT NULL,
    PRIMARY KEY (partition, field_id, key, contact_id)
);

-- The date triggers of every flow; those that fire no more have no settings. `revision` orders the
-- changes.
CREATE SEQUENCE date_trigger_revision;
CREATE TABLE date_trigger (
    flow_id uuid NOT NULL,
    trigger_id text NOT NULL,
    workspace_id uuid NOT NULL,
    flow_version int NOT NULL,
    settings jsonb,
    active_since timestamptz NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (flow_id, trigger_id)
);
CREATE UNIQUE INDEX date_trigger_by_revision ON date_trigger (revision);

-- How far each partition has followed time, and which changes of triggers it knew by then.
CREATE TABLE date_watermark (
    partition int PRIMARY KEY,
    passed_until timestamptz NOT NULL,
    revision bigint NOT NULL
) WITH (fillfactor = 20);

-- What has fallen due and is being released: one day's share of a trigger in one partition, and the
-- last date that was looked at. It keeps the trigger as it was, so that it comes to its end whatever
-- becomes of the flow; the executor judges. Whoever has waited longest has the lowest `turn`.
CREATE SEQUENCE date_slice_turn;
CREATE TABLE date_slice (
    partition int NOT NULL,
    flow_id uuid NOT NULL,
    trigger_id text NOT NULL,
    due_at timestamptz NOT NULL,
    day date NOT NULL,
    workspace_id uuid NOT NULL,
    flow_version int NOT NULL,
    field_id int NOT NULL,
    settings jsonb NOT NULL,
    after_key smallint NOT NULL DEFAULT 0,
    after_contact uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    turn bigint NOT NULL DEFAULT nextval('date_slice_turn'),
    PRIMARY KEY (partition, flow_id, trigger_id, due_at)
) WITH (fillfactor = 50);
CREATE INDEX date_slice_by_turn ON date_slice (partition, turn);
