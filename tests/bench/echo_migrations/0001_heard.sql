CREATE TABLE heard (
    number bigint PRIMARY KEY,
    contact_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
