-- name: known_live(membership_ids)
-- What was known of these memberships, of those that are live.
SELECT membership_id, sequence, updated_at, status
  FROM membership
 WHERE membership_id = ANY (:membership_ids::uuid[]);

-- name: known_ended(membership_ids, days)
-- What was known of these memberships, of those that ended in the last days; older partitions are
-- not touched.
SELECT membership_id, sequence, updated_at, run_status, stored_at
  FROM ended_membership
 WHERE membership_id = ANY (:membership_ids::uuid[])
   AND stored_at > now() - make_interval(days => :days::int);

-- name: write_live(membership_ids, workspace_ids, flow_ids, contact_ids, sequences, statuses, current_step_ids, waiting_untils, entry_sources, dynamic_contexts, entered_ats, updated_ats)!
-- Write live memberships as they are now. Instants are kept as precise as they are shown: who asks
-- for members up to a time they read here means it.
INSERT INTO membership (
       membership_id, workspace_id, flow_id, contact_id, sequence, status, current_step_id,
       waiting_until, entry_source, dynamic_context, entered_at, updated_at)
SELECT membership_id, workspace_id, flow_id, contact_id, sequence, status, current_step_id,
       waiting_until, entry_source, dynamic_context::json,
       date_trunc('milliseconds', entered_at), updated_at
  FROM unnest(:membership_ids::uuid[], :workspace_ids::uuid[], :flow_ids::uuid[],
              :contact_ids::uuid[], :sequences::int[], :statuses::text[],
              :current_step_ids::text[], :waiting_untils::timestamptz[], :entry_sources::text[],
              :dynamic_contexts::text[], :entered_ats::timestamptz[], :updated_ats::timestamptz[])
       AS changed (membership_id, workspace_id, flow_id, contact_id, sequence, status,
                   current_step_id, waiting_until, entry_source, dynamic_context, entered_at,
                   updated_at)
    ON CONFLICT (membership_id) DO UPDATE
   SET sequence = EXCLUDED.sequence,
       status = EXCLUDED.status,
       current_step_id = EXCLUDED.current_step_id,
       waiting_until = EXCLUDED.waiting_until,
       dynamic_context = EXCLUDED.dynamic_context,
       updated_at = EXCLUDED.updated_at;

-- name: add_timeline(membership_ids, sequences, entries)!
-- Add to the timelines of live memberships; what is there already stays.
INSERT INTO timeline (membership_id, sequence, entries)
SELECT membership_id, sequence, entries::json
  FROM unnest(:membership_ids::uuid[], :sequences::int[], :entries::text[])
       AS added (membership_id, sequence, entries)
    ON CONFLICT DO NOTHING;

-- name: end(membership_ids, workspace_ids, flow_ids, contact_ids, sequences, statuses, run_statuses, current_step_ids, entry_sources, dynamic_contexts, entered_ats, ended_ats, drop_reasons, updated_ats, entries)!
-- Move memberships with their timelines to the ended ones. Some were never live here: they entered
-- and ended in one batch.
WITH live AS (
    DELETE FROM membership WHERE membership_id = ANY (:membership_ids::uuid[])
), moved AS (
    DELETE FROM timeline WHERE membership_id = ANY (:membership_ids::uuid[]) RETURNING *
), earlier AS (
    SELECT membership_id, array_agg(entries ORDER BY sequence) AS timeline
      FROM moved
     GROUP BY membership_id
)
INSERT INTO ended_membership (
       membership_id, workspace_id, flow_id, contact_id, sequence, status, run_status,
       current_step_id, entry_source, dynamic_context, entered_at, ended_at, drop_reason,
       updated_at, timeline)
SELECT membership_id, workspace_id, flow_id, contact_id, sequence, status, run_status,
       current_step_id, entry_source, dynamic_context::json,
       date_trunc('milliseconds', entered_at), date_trunc('milliseconds', ended_at), drop_reason,
       updated_at, array_append(earlier.timeline, ended.entries::json)
  FROM unnest(:membership_ids::uuid[], :workspace_ids::uuid[], :flow_ids::uuid[],
              :contact_ids::uuid[], :sequences::int[], :statuses::text[], :run_statuses::text[],
              :current_step_ids::text[], :entry_sources::text[], :dynamic_contexts::text[],
              :entered_ats::timestamptz[], :ended_ats::timestamptz[], :drop_reasons::text[],
              :updated_ats::timestamptz[], :entries::text[])
       AS ended (membership_id, workspace_id, flow_id, contact_id, sequence, status, run_status,
                 current_step_id, entry_source, dynamic_context, entered_at, ended_at,
                 drop_reason, updated_at, entries)
  LEFT JOIN earlier USING (membership_id);

-- name: move_back(membership_ids, stored_ats)!
-- Take the ends of memberships back; their timelines are kept, as those of live ones.
WITH back AS (
    DELETE FROM ended_membership AS mine
     USING unnest(:membership_ids::uuid[], :stored_ats::timestamptz[]) AS wanted (membership_id, stored_at)
     WHERE mine.membership_id = wanted.membership_id AND mine.stored_at = wanted.stored_at
 RETURNING mine.membership_id, mine.sequence, mine.timeline
)
INSERT INTO timeline (membership_id, sequence, entries)
SELECT membership_id, sequence,
       (SELECT json_agg(entry ORDER BY walk, place)
          FROM unnest(timeline) WITH ORDINALITY AS walks (entries, walk),
               json_array_elements(entries) WITH ORDINALITY AS each_entry (entry, place))
  FROM back;

-- name: add_to_ended(membership_ids, stored_ats, sequences, updated_ats, entries)!
-- Add what happened to memberships after their end: a mail is opened when its reader has time.
UPDATE ended_membership AS mine
   SET sequence = late.sequence,
       updated_at = late.updated_at,
       timeline = array_append(mine.timeline, late.entries::json)
  FROM unnest(:membership_ids::uuid[], :stored_ats::timestamptz[], :sequences::int[],
              :updated_ats::timestamptz[], :entries::text[])
       AS late (membership_id, stored_at, sequence, updated_at, entries)
 WHERE mine.membership_id = late.membership_id AND mine.stored_at = late.stored_at;

-- name: read_all(membership_ids)
-- Memberships with their contacts, in this order.
SELECT every.membership_id, flow_id, every.contact_id, sequence, status, run_status,
       current_step_id, waiting_until, entry_source, dynamic_context, entered_at, ended_at,
       drop_reason, every.updated_at, coalesce(array_to_json(timeline), of_live.walks) AS walks,
       contact.fields
  FROM every_membership AS every
  LEFT JOIN LATERAL (SELECT json_agg(entries ORDER BY sequence) AS walks FROM timeline
                      WHERE timeline.membership_id = every.membership_id) AS of_live ON true
  LEFT JOIN contact USING (workspace_id, contact_id)
 WHERE membership_id = ANY (:membership_ids::uuid[])
 ORDER BY array_position(:membership_ids::uuid[], membership_id);

-- name: read(workspace_id, flow_id, membership_id)^
-- One membership, with its contact.
SELECT membership_id, flow_id, contact_id, sequence, status, run_status, current_step_id, waiting_until,
       entry_source, dynamic_context, entered_at, ended_at, drop_reason, every_membership.updated_at,
       coalesce(array_to_json(timeline), of_live.walks) AS walks, contact.fields
  FROM every_membership
  LEFT JOIN LATERAL (SELECT json_agg(entries ORDER BY sequence) AS walks FROM timeline
                      WHERE timeline.membership_id = every_membership.membership_id) AS of_live ON true
  LEFT JOIN contact USING (workspace_id, contact_id)
 WHERE workspace_id = :workspace_id
   AND flow_id = :flow_id
   AND membership_id = :membership_id;
