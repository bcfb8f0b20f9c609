-- "Why did this contact not get it?" is asked by contact as often as by flow.
CREATE INDEX refusal_of_contact ON refusal (workspace_id, contact_id, refused_at DESC);
