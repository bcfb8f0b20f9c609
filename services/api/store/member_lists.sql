-- name: anchor_at(flow_id, place)^
-- The first anchor at a place or behind it. One that somebody has overtaken since does not count.
SELECT place, entered_at, membership_id
  FROM (SELECT place, entered_at, membership_id
          FROM member_anchor
         WHERE flow_id = :flow_id AND place >= :place
         ORDER BY place
         LIMIT 1) AS next
 WHERE entered_at < coalesce((SELECT min(first_entry_at) FROM flow_count_change
                               WHERE flow_id = :flow_id), 'infinity');

-- name: anchor_before(flow_id, until)^
-- The last anchor up to a time. One that somebody has overtaken since does not count.
SELECT place, entered_at, membership_id
  FROM member_anchor
 WHERE flow_id = :flow_id AND entered_at <= :until
   AND entered_at < coalesce((SELECT min(first_entry_at) FROM flow_count_change
                               WHERE flow_id = :flow_id), 'infinity')
 ORDER BY entered_at DESC, place DESC
 LIMIT 1;

-- name: count_between(flow_id, after_at, after_id, until)$
-- How many entered after a membership, up to a time.
SELECT (SELECT count(*) FROM membership
         WHERE flow_id = :flow_id AND entered_at <= :until
           AND (entered_at, membership_id) > (:after_at::timestamptz, :after_id::uuid))
     + (SELECT count(*) FROM ended_membership
         WHERE flow_id = :flow_id AND entered_at <= :until
           AND (entered_at, membership_id) > (:after_at::timestamptz, :after_id::uuid));

-- name: by_entry(flow_id, from_at, from_id, skip, at_most)
-- Memberships in any state, from one on, the last that entered first.
SELECT membership_id
  FROM every_membership
 WHERE flow_id = :flow_id
   AND (entered_at, membership_id) <= (:from_at::timestamptz, :from_id::uuid)
 ORDER BY entered_at DESC, membership_id DESC
 LIMIT :at_most::int OFFSET :skip::bigint;

-- name: live(flow_id, states, skip, at_most)
-- Live memberships in some states, the last that entered first.
SELECT membership_id
  FROM membership
 WHERE flow_id = :flow_id AND status = ANY (:states::text[])
 ORDER BY entered_at DESC, membership_id DESC
 LIMIT :at_most::int OFFSET :skip::bigint;

-- name: by_end(flow_id, states, exited_from, exited_to, skip, at_most)
-- Ended memberships in some states, the last that ended first. Each state has its own range of one
-- index, of which no more is read than is shown or skipped.
SELECT membership_id
  FROM unnest(:states::text[]) AS wanted (state)
 CROSS JOIN LATERAL (
       SELECT ended_at, membership_id
         FROM ended_membership
        WHERE flow_id = :flow_id AND run_status = wanted.state
          AND ended_at BETWEEN :exited_from AND :exited_to
        ORDER BY ended_at DESC, membership_id DESC
        LIMIT :at_most::int + :skip::bigint) AS last
 ORDER BY ended_at DESC, membership_id DESC
 LIMIT :at_most::int OFFSET :skip::bigint;

-- name: count_by_end(flow_id, states, exited_from, exited_to, most)$
-- How many in some states ended in a time; no more than so many are counted.
SELECT count(*)
  FROM (SELECT FROM ended_membership
         WHERE flow_id = :flow_id AND run_status = ANY (:states::text[])
           AND ended_at BETWEEN :exited_from AND :exited_to
         LIMIT :most::int) AS counted;

-- name: look_through(flow_id, states, entered_from, entered_to, exited_from, exited_to, skip, at_most, most)^
-- Of those that entered in a time, no more than so many, the last that entered first: which are in
-- some states and ended in a time; and how many were looked at.
WITH entered AS (
    SELECT entered_at, membership_id, state, ended_at
      FROM (SELECT flow_id, entered_at, membership_id, status AS state,
                   NULL::timestamptz AS ended_at
              FROM membership
             UNION ALL
            SELECT flow_id, entered_at, membership_id, run_status, ended_at
              FROM ended_membership) AS every
     WHERE flow_id = :flow_id AND entered_at BETWEEN :entered_from AND :entered_to
     ORDER BY entered_at DESC, membership_id DESC
     LIMIT :most::int
), found AS (
    SELECT entered_at, membership_id
      FROM entered
     WHERE state = ANY (:states::text[])
       AND (ended_at IS NULL OR ended_at BETWEEN :exited_from AND :exited_to)
)
SELECT (SELECT count(*) FROM entered) AS looked_at,
       (SELECT count(*) FROM found) AS total,
       ARRAY (SELECT membership_id FROM found
               ORDER BY entered_at DESC, membership_id DESC
               LIMIT :at_most::int OFFSET :skip::bigint) AS membership_ids;

-- name: to_anchor(at_most)
-- Flows with many memberships behind their last anchor, that anchor, and how many are behind it.
SELECT flow_id, coalesce(place, 0) AS place, coalesce(entered_at, '0001-01-01Z') AS entered_at,
       coalesce(membership_id, '00000000-0000-0000-0000-000000000000') AS membership_id,
       entered - gone_completed - gone_failed - gone_exited_flow - coalesce(place, 0) AS behind
  FROM flow_count
  LEFT JOIN LATERAL (SELECT place, entered_at, membership_id FROM member_anchor
                      WHERE member_anchor.flow_id = flow_count.flow_id
                      ORDER BY place DESC LIMIT 1) AS last ON true
 WHERE entered - gone_completed - gone_failed - gone_exited_flow - anchored >= 2000
 LIMIT :at_most::int;

-- name: anchor(flow_id, place, after_at, after_id, spacing, at_most)!
-- Set anchors behind the last one.
WITH behind AS (
    SELECT entered_at, membership_id, row_number() OVER (ORDER BY entered_at, membership_id) AS place
      FROM (SELECT entered_at, membership_id
              FROM every_membership
             WHERE flow_id = :flow_id
               AND (entered_at, membership_id) > (:after_at::timestamptz, :after_id::uuid)
             ORDER BY entered_at, membership_id
             LIMIT :spacing::int * :at_most::int) AS next
), added AS (
    INSERT INTO member_anchor (flow_id, place, entered_at, membership_id)
    SELECT :flow_id, :place::bigint + place, entered_at, membership_id
      FROM behind
     WHERE place % :spacing::int = 0
 RETURNING place
)
UPDATE flow_count
   SET anchored = greatest(:place::bigint, (SELECT max(place) FROM added))
 WHERE flow_id = :flow_id;
