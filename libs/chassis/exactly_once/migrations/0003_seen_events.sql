-- Events that were seen, each by a digest of what tells it from others, in services that drop what
-- comes again from outside; elsewhere it stays empty. One partition per week of real time, dropped
-- when it is old. The column holds the week and not the moment, so that within a week the database
-- itself refuses an event that comes twice at once.
CREATE TABLE seen_event (
    key uuid NOT NULL,
    week timestamptz NOT NULL DEFAULT date_trunc('week', now(), 'UTC'),
    PRIMARY KEY (key, week)
) PARTITION BY RANGE (week);
CREATE TABLE seen_event_default PARTITION OF seen_event DEFAULT;
