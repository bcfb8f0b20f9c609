-- name: read(workspace_ids, contact_ids, metrics, email_ids, form_ids, tent_ids, windows, at_mosts, now, most_looked_at)
-- The newest times of what is asked of each contact, so many of each, how many there were that are
-- folded, and, where only some of a metric count, before when nothing was looked at. What lies in a
-- window was recorded in it, give a day for clocks that are ahead: other months are not looked at.
SELECT asked.number, found.times, found.unread_before, coalesce(total.folded, 0)::bigint AS folded
  FROM unnest(
       :workspace_ids::uuid[], :contact_ids::uuid[], :metrics::text[], :email_ids::uuid[],
       :form_ids::text[], :tent_ids::uuid[], :windows::interval[], :at_mosts::int[])
       WITH ORDINALITY AS asked (workspace_id, contact_id, metric, email_id, form_id, tent_id,
                                 within, at_most, number)
 CROSS JOIN LATERAL (
       SELECT coalesce(
                  (array_agg(looked.at ORDER BY looked.at DESC) FILTER (WHERE looked.counts)
                  )[1 : asked.at_most], '{}') AS times,
              CASE WHEN num_nonnulls(asked.email_id, asked.form_id, asked.tent_id) > 0
                    AND count(*) >= :most_looked_at::int
                   THEN min(looked.at) END AS unread_before
         FROM (SELECT activity.at,
                      (asked.email_id IS NULL OR activity.email_id = asked.email_id) IS TRUE
                      AND (asked.form_id IS NULL OR activity.form_id = asked.form_id) IS TRUE
                      AND (asked.tent_id IS NULL OR activity.tent_id = asked.tent_id) IS TRUE
                      AS counts
                 FROM activity
                WHERE activity.contact_id = asked.contact_id
                  AND activity.metric = asked.metric
                  AND activity.workspace_id = asked.workspace_id
                  AND activity.at > coalesce(:now::timestamptz - asked.within, '-infinity')
                  AND activity.recorded_at
                      >= coalesce(now() - asked.within - interval '2 days', '-infinity')
                ORDER BY activity.at DESC
                LIMIT CASE WHEN num_nonnulls(asked.email_id, asked.form_id, asked.tent_id) > 0
                           THEN :most_looked_at ELSE asked.at_most END
              ) AS looked
       ) AS found
  LEFT JOIN LATERAL (
       SELECT sum(activity_total.number) AS folded
         FROM activity_total
        WHERE asked.within IS NULL
          AND activity_total.contact_id = asked.contact_id
          AND activity_total.workspace_id = asked.workspace_id
          AND activity_total.metric = asked.metric
          AND (asked.email_id IS NULL OR activity_total.email_id = asked.email_id)
          AND (asked.form_id IS NULL OR activity_total.form_id = asked.form_id)
          AND (asked.tent_id IS NULL OR activity_total.tent_id = asked.tent_id)
       ) AS total ON true;

-- name: known(workspace_ids, contact_ids, metrics, ats, event_keys)
-- Which of these events are here already. One was recorded after it happened, give a day for clocks
-- that are ahead: earlier months are not looked at. Looked up one by one, whatever statistics say.
SELECT asked.event_key
  FROM unnest(
       :workspace_ids::uuid[], :contact_ids::uuid[], :metrics::text[], :ats::timestamptz[],
       :event_keys::uuid[]) AS asked (workspace_id, contact_id, metric, at, event_key)
 CROSS JOIN LATERAL (
       SELECT
         FROM activity
        WHERE activity.contact_id = asked.contact_id
          AND activity.metric = asked.metric
          AND activity.at = asked.at
          AND activity.event_key = asked.event_key
          AND activity.workspace_id = asked.workspace_id
          AND activity.recorded_at >= least(asked.at, now()) - interval '2 days'
        LIMIT 1) AS found;

-- name: record(workspace_ids, contact_ids, metrics, ats, event_keys, email_ids, form_ids, tent_ids)!
-- What contacts did, unless it is here already, as `known` looks for it.
INSERT INTO activity (
       workspace_id, contact_id, metric, at, event_key, email_id, form_id, tent_id)
SELECT done.*
  FROM unnest(
       :workspace_ids::uuid[], :contact_ids::uuid[], :metrics::text[], :ats::timestamptz[],
       :event_keys::uuid[], :email_ids::uuid[], :form_ids::text[], :tent_ids::uuid[])
       AS done (workspace_id, contact_id, metric, at, event_key, email_id, form_id, tent_id)
  LEFT JOIN LATERAL (
       SELECT true AS known
         FROM activity
        WHERE activity.contact_id = done.contact_id
          AND activity.metric = done.metric
          AND activity.at = done.at
          AND activity.event_key = done.event_key
          AND activity.workspace_id = done.workspace_id
          AND activity.recorded_at >= least(done.at, now()) - interval '2 days'
        LIMIT 1) AS found ON true
 WHERE found.known IS NULL;

-- name: forget_contacts(workspace_ids, contact_ids)!
-- Erase what contacts did who are gone.
DELETE FROM activity
 USING unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS gone (workspace_id, contact_id)
 WHERE activity.contact_id = gone.contact_id AND activity.workspace_id = gone.workspace_id;

-- name: forget_totals(workspace_ids, contact_ids)!
-- Erase how often they had done it before; after the above (see `fold_activity`).
DELETE FROM activity_total AS mine
 USING unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS gone (workspace_id, contact_id)
 WHERE mine.contact_id = gone.contact_id AND mine.workspace_id = gone.workspace_id;

-- name: fold(before)$
-- Count in the totals what was recorded before an instant.
SELECT fold_activity(:before::timestamptz);
