-- A database and a role for each service; no role can enter another's database.
-- For trying out: in production the passwords come from your secrets.
CREATE ROLE api LOGIN PASSWORD 'api';
CREATE ROLE trigger_matcher LOGIN PASSWORD 'trigger_matcher';
CREATE ROLE step_executor LOGIN PASSWORD 'step_executor';
CREATE ROLE scheduler LOGIN PASSWORD 'scheduler';
CREATE DATABASE api OWNER api;
CREATE DATABASE trigger_matcher OWNER trigger_matcher;
CREATE DATABASE step_executor OWNER step_executor;
CREATE DATABASE scheduler OWNER scheduler;
REVOKE CONNECT ON DATABASE api FROM PUBLIC;
REVOKE CONNECT ON DATABASE trigger_matcher FROM PUBLIC;
REVOKE CONNECT ON DATABASE step_executor FROM PUBLIC;
REVOKE CONNECT ON DATABASE scheduler FROM PUBLIC;
