-- Numbers timers, so that those due at the same instant have an order.
CREATE SEQUENCE timer_number;

-- Append-only. One partition per day (UTC), opened when the first timer falls into it; it gets its
-- index when it comes near and is dropped when every partition's watermark has passed it.
CREATE TABLE timer (
    partition int NOT NULL,
    due_at timestamptz NOT NULL,
    number bigint NOT NULL DEFAULT nextval('timer_number'),
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    membership_id uuid NOT NULL,
    hop int NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('resume', 'retry_delivery'))
) PARTITION BY RANGE (due_at);

-- The partitions there are.
CREATE TABLE timer_day (
    day date PRIMARY KEY,
    indexed boolean NOT NULL DEFAULT false
);

-- Up to where each partition has fired: everything at or before (fired_until, fired_number).
CREATE TABLE timer_watermark (
    partition int PRIMARY KEY,
    fired_until timestamptz NOT NULL DEFAULT 'epoch',
    fired_number bigint NOT NULL DEFAULT 9223372036854775807
) WITH (fillfactor = 20);

-- Open the partitions of these days, unless they are open already.
CREATE FUNCTION open_timer_days(days date[]) RETURNS void
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    wanted date;
    name text;
BEGIN
    IF NOT EXISTS (SELECT FROM unnest(days) AS d (day)
                    WHERE d.day NOT IN (SELECT timer_day.day FROM timer_day)) THEN
        RETURN;
    END IF;
    -- One process at a time; the days are looked at again under the lock.
    PERFORM pg_advisory_xact_lock(hashtext('timer_day'));
    FOR wanted IN SELECT DISTINCT d.day FROM unnest(days) AS d (day)
                   WHERE d.day NOT IN (SELECT timer_day.day FROM timer_day) ORDER BY 1 LOOP
        name := 'timer_' || to_char(wanted, 'YYYYMMDD');
        EXECUTE format('CREATE TABLE %I (LIKE timer INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
        EXECUTE format('ALTER TABLE timer ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       name, wanted::timestamptz, (wanted + 1)::timestamptz);
        INSERT INTO timer_day (day) VALUES (wanted);
    END LOOP;
END $$;

-- Index the days up to and including one that have no index yet.
CREATE FUNCTION index_timer_days(up_to date) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    near date;
    done int := 0;
BEGIN
    FOR near IN SELECT day FROM timer_day WHERE NOT indexed AND day <= up_to ORDER BY day LOOP
        EXECUTE format('CREATE INDEX ON %I (partition, due_at, number)',
                       'timer_' || to_char(near, 'YYYYMMDD'));
        UPDATE timer_day SET indexed = true WHERE day = near;
        done := done + 1;
    END LOOP;
    RETURN done;
END $$;

-- Drop the days that lie wholly before an instant.
CREATE FUNCTION drop_timer_days(passed timestamptz) RETURNS int
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    spent date;
    done int := 0;
BEGIN
    FOR spent IN SELECT day FROM timer_day WHERE (day + 1)::timestamptz <= passed ORDER BY day LOOP
        EXECUTE format('DROP TABLE %I', 'timer_' || to_char(spent, 'YYYYMMDD'));
        DELETE FROM timer_day WHERE day = spent;
        done := done + 1;
    END LOOP;
    RETURN done;
END $$;
