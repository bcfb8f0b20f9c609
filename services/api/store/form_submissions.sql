-- name: add(submission_id, workspace_id, form_id, tent_id, fields, now)!
-- A submission by nobody who can be named.
INSERT INTO form_submission (submission_id, workspace_id, form_id, tent_id, fields, submitted_at)
SELECT :submission_id::text, :workspace_id::uuid, :form_id::text, :tent_id::uuid, :fields::json,
       date_trunc('milliseconds', :now::timestamptz)
 WHERE NOT EXISTS (SELECT FROM form_submission
                    WHERE workspace_id = :workspace_id AND form_id = :form_id
                      AND submission_id = :submission_id);

-- name: page(workspace_id, form_id, before_at, before_id, at_most)
-- Submissions of a form, newest first, from the newest on or from one that is given.
SELECT * FROM form_submission
 WHERE workspace_id = :workspace_id AND form_id = :form_id
   AND (submitted_at, submission_id)
     < (coalesce(:before_at::timestamptz, 'infinity'), coalesce(:before_id::text, ''))
 ORDER BY submitted_at DESC, submission_id DESC
 LIMIT :at_most::int;
