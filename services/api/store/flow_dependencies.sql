-- name: put(workspace_id, flow_ids, of_flow_ids, needs_ids)!
-- What these flows depend on now, and nothing else: pairs of a flow and what it needs.
WITH needed AS (
    SELECT * FROM unnest(:of_flow_ids::uuid[], :needs_ids::uuid[]) AS needed (flow_id, needs_id)
), gone AS (
    DELETE FROM flow_dependency AS mine
     WHERE flow_id = ANY (:flow_ids::uuid[])
       AND NOT EXISTS (SELECT FROM needed
                        WHERE needed.flow_id = mine.flow_id AND needed.needs_id = mine.needs_id)
)
INSERT INTO flow_dependency (workspace_id, needs_id, flow_id)
SELECT :workspace_id, needs_id, flow_id FROM needed
    ON CONFLICT DO NOTHING;

-- name: changed(workspace_id, needs_id)!
-- Something has changed that flows may depend on.
INSERT INTO dependency_change (workspace_id, needs_id) VALUES (:workspace_id, :needs_id);

-- name: claim()^
-- The change whose turn it is; nobody else treats it until the transaction ends.
SELECT turn, workspace_id, needs_id, after_id FROM dependency_change
 ORDER BY turn
 LIMIT 1
   FOR UPDATE SKIP LOCKED;

-- name: go_on(turn, after_id)!
-- The next flows of this change are those after this one, when all other changes have had a turn.
UPDATE dependency_change SET turn = DEFAULT, after_id = :after_id WHERE turn = :turn;

-- name: end(turn)!
-- All flows were published anew.
DELETE FROM dependency_change WHERE turn = :turn;
