-- name: use_indexes()$
-- A plan made while a week was small would read it from end to end when it has grown.
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true);

-- name: remember_new(keys)
-- Remember these events; return the ones not seen before. Ordered, so that two who remember the
-- same events wait for each other and not in a circle.
INSERT INTO seen_event (key)
SELECT fresh.key
  FROM unnest(:keys::uuid[]) AS fresh (key)
  LEFT JOIN LATERAL (
       SELECT true AS found
         FROM seen_event
        WHERE seen_event.key = fresh.key AND seen_event.week <= now()
        LIMIT 1
       ) AS before ON true
 WHERE before.found IS NULL
 ORDER BY fresh.key
    ON CONFLICT DO NOTHING
RETURNING key;
