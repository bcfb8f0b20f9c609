-- name: live_timelines(workspace_ids, contact_ids)
-- The timelines of these contacts' live memberships.
SELECT timeline.membership_id, timeline.sequence, timeline.entries
  FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS erased (workspace_id, contact_id)
  JOIN membership USING (workspace_id, contact_id)
  JOIN timeline USING (membership_id);

-- name: ended_timelines(workspace_ids, contact_ids)
-- The timelines of these contacts' ended memberships.
SELECT membership_id, stored_at, array_to_json(timeline) AS walks
  FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS erased (workspace_id, contact_id)
  JOIN ended_membership USING (workspace_id, contact_id);

-- name: write_live_timelines(membership_ids, sequences, entries)!
-- Write timelines of live memberships anew.
UPDATE timeline
   SET entries = written.entries::json
  FROM unnest(:membership_ids::uuid[], :sequences::int[], :entries::text[])
       AS written (membership_id, sequence, entries)
 WHERE timeline.membership_id = written.membership_id AND timeline.sequence = written.sequence;

-- name: write_ended_timelines(membership_ids, stored_ats, entries)!
-- Write timelines of ended memberships anew.
UPDATE ended_membership
   SET timeline = ARRAY[written.entries::json]
  FROM unnest(:membership_ids::uuid[], :stored_ats::timestamptz[], :entries::text[])
       AS written (membership_id, stored_at, entries)
 WHERE ended_membership.membership_id = written.membership_id
   AND ended_membership.stored_at = written.stored_at;

-- name: erase_live_contexts(workspace_ids, contact_ids)!
-- Erase the values that callers gave to these contacts' live memberships.
UPDATE membership
   SET dynamic_context = '{}'
  FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS erased (workspace_id, contact_id)
 WHERE membership.workspace_id = erased.workspace_id
   AND membership.contact_id = erased.contact_id
   AND dynamic_context::text <> '{}';

-- name: erase_ended_contexts(workspace_ids, contact_ids)!
-- Erase the values that callers gave to these contacts' ended memberships.
UPDATE ended_membership
   SET dynamic_context = '{}'
  FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS erased (workspace_id, contact_id)
 WHERE ended_membership.workspace_id = erased.workspace_id
   AND ended_membership.contact_id = erased.contact_id
   AND dynamic_context::text <> '{}';

-- name: erase_refusals(workspace_ids, contact_ids)!
-- Erase what refusals of these contacts say of a person: the events that caused them were named by
-- others, who may have put anything into a name.
UPDATE refusal
   SET source_id = ''
  FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS erased (workspace_id, contact_id)
 WHERE refusal.workspace_id = erased.workspace_id
   AND refusal.contact_id = erased.contact_id
   AND source_id <> '';
