-- name: claim(workspace_id, emails, contact_ids, chosen, seconds)
-- Claim addresses for contacts; those that somebody else claims at this time are left out. Who takes
-- over a claim that was never given back gets its contact id too: what the former claimer published
-- may have arrived nevertheless. But not if the caller chose an id, or there is such a contact.
INSERT INTO address_claim AS mine (workspace_id, email, contact_id, chosen, expires_at)
SELECT :workspace_id, email, contact_id, chosen, now() + make_interval(secs => :seconds)
  FROM unnest(:emails::text[], :contact_ids::uuid[], :chosen::boolean[])
       AS claimed (email, contact_id, chosen)
 ORDER BY email
    ON CONFLICT (workspace_id, email) DO UPDATE
   SET contact_id = CASE WHEN EXCLUDED.chosen
                           OR EXISTS (SELECT FROM contact
                                       WHERE contact.workspace_id = mine.workspace_id
                                         AND contact.contact_id = mine.contact_id)
                         THEN EXCLUDED.contact_id ELSE mine.contact_id END,
       chosen = EXCLUDED.chosen,
       expires_at = EXCLUDED.expires_at
 WHERE mine.expires_at <= now()
RETURNING email, contact_id;

-- name: holders(workspace_id, emails)
-- For which contacts these addresses are claimed.
SELECT email, contact_id FROM address_claim
 WHERE workspace_id = :workspace_id AND email = ANY (:emails::text[]);

-- name: give_back(workspace_id, emails, contact_ids)!
-- Give claims back; those that were left over by others long ago go too.
DELETE FROM address_claim
 WHERE (workspace_id, email, contact_id) IN (
       SELECT :workspace_id::uuid, email, contact_id
         FROM unnest(:emails::text[], :contact_ids::uuid[]) AS mine (email, contact_id))
    OR expires_at < now() - interval '1 hour';

-- name: end_claims(workspace_id, emails, contact_ids)!
-- Let others take these claims over, with the contact's id.
UPDATE address_claim SET expires_at = now()
  FROM unnest(:emails::text[], :contact_ids::uuid[]) AS mine (email, contact_id)
 WHERE address_claim.workspace_id = :workspace_id
   AND address_claim.email = mine.email
   AND address_claim.contact_id = mine.contact_id;

-- name: drop_ended()!
-- Forget claims that were never given back and have ended.
DELETE FROM address_claim WHERE expires_at <= now();
