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
