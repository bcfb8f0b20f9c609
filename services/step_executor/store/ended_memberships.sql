-- name: add(ids, partitions, workspaces, flows, contacts, entry_sources, entered_ats, updated_ats, statuses, hops, step_ids, dynamic_contexts, engagements, sequences, ended_ats, drop_reasons)!
-- Memberships that have ended.
INSERT INTO ended_membership (
       membership_id, partition, workspace_id, flow_id, contact_id, entry_source, entered_at,
       updated_at, status, hop, step_id, dynamic_context, engagement, sequence, ended_at,
       drop_reason)
SELECT *
  FROM unnest(
       :ids::uuid[], :partitions::int[], :workspaces::uuid[], :flows::uuid[], :contacts::uuid[],
       :entry_sources::text[], :entered_ats::timestamptz[], :updated_ats::timestamptz[],
       :statuses::text[], :hops::int[], :step_ids::text[], :dynamic_contexts::jsonb[],
       :engagements::jsonb[], :sequences::int[], :ended_ats::timestamptz[], :drop_reasons::text[]);

-- name: read(contact_ids, membership_ids)
-- These memberships, each given with its contact, if they have ended.
SELECT ended.*
  FROM unnest(:contact_ids::uuid[], :membership_ids::uuid[]) AS wanted (contact_id, membership_id)
  JOIN ended_membership AS ended
    ON ended.contact_id = wanted.contact_id AND ended.membership_id = wanted.membership_id;

-- name: history(flow_ids, contact_ids)
-- The ended memberships of each contact in the flow.
SELECT ended.flow_id, ended.contact_id, ended.workspace_id, ended.membership_id
  FROM unnest(:flow_ids::uuid[], :contact_ids::uuid[]) AS wanted (flow_id, contact_id)
  JOIN ended_membership AS ended
    ON ended.contact_id = wanted.contact_id AND ended.flow_id = wanted.flow_id;

-- name: note(ids, contact_ids, engagements, sequences)!
-- What became of mails of memberships that have ended.
UPDATE ended_membership AS mine
   SET engagement = noted.engagement, sequence = noted.sequence
  FROM unnest(:ids::uuid[], :contact_ids::uuid[], :engagements::jsonb[], :sequences::int[])
       AS noted (membership_id, contact_id, engagement, sequence)
 WHERE mine.contact_id = noted.contact_id AND mine.membership_id = noted.membership_id;

-- name: forget_contacts(workspace_ids, contact_ids)!
-- Erase what is personal in the ended memberships of contacts that are gone.
UPDATE ended_membership AS mine
   SET dynamic_context = '{}', engagement = '{}'
  FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS gone (workspace_id, contact_id)
 WHERE mine.contact_id = gone.contact_id AND mine.workspace_id = gone.workspace_id;
