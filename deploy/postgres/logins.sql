-- The users that log in: an owner for `bulk-lookup migrate`, and one for each program, which
-- may act as that program's role and as nobody else. Run by an administrator on the project's
-- own database, before a release's migration, each time; PostgreSQL 16 or newer:
--
--     PASSWORDS=/a/directory psql --dbname bulk_lookup --file logins.sql
--
-- PASSWORDS names a directory with a file for each user: owner, ingest, lookup, results,
-- grafana. Without PASSWORDS the passwords stay as they are. No user of these may make roles
-- or databases: the roles that the migration needs are made here.

\set ON_ERROR_STOP on
\getenv passwords PASSWORDS
\if :{?passwords}
    \set owner `cat "$PASSWORDS/owner"`
    \set ingest `cat "$PASSWORDS/ingest"`
    \set lookup `cat "$PASSWORDS/lookup"`
    \set results `cat "$PASSWORDS/results"`
    \set grafana `cat "$PASSWORDS/grafana"`
    SELECT '' IN (:'owner', :'ingest', :'lookup', :'results', :'grafana') AS missing \gset
    \if :missing
        DO $$ BEGIN RAISE EXCEPTION 'a password is missing: see above for the file'; END $$;
    \endif
\endif

BEGIN;

-- What the programs' rights are granted to.
SELECT format('CREATE ROLE %I NOLOGIN', role)
FROM unnest(ARRAY['ingest', 'lookup', 'results', 'grafana']) AS program,
    format('bulk_lookup_%s', program) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
\gexec

-- Who logs in.
SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['owner', 'ingest_user', 'lookup_user', 'results_user', 'grafana_user']) AS who,
    format('bulk_lookup_%s', who) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

-- The owner makes the tables, and sees at a migration that it may act as every role.
SELECT format('ALTER DATABASE %I OWNER TO bulk_lookup_owner', current_database()) \gexec
GRANT bulk_lookup_ingest, bulk_lookup_lookup, bulk_lookup_results, bulk_lookup_grafana
    TO bulk_lookup_owner WITH INHERIT FALSE, SET TRUE;

-- A program says SET ROLE when it connects; a user by itself has no rights.
GRANT bulk_lookup_ingest TO bulk_lookup_ingest_user WITH INHERIT FALSE, SET TRUE;
GRANT bulk_lookup_lookup TO bulk_lookup_lookup_user WITH INHERIT FALSE, SET TRUE;
GRANT bulk_lookup_results TO bulk_lookup_results_user WITH INHERIT FALSE, SET TRUE;

-- Grafana knows nothing of roles, so its user has the rights as they are: reading, and briefly.
GRANT bulk_lookup_grafana TO bulk_lookup_grafana_user WITH INHERIT TRUE, SET FALSE;
ALTER ROLE bulk_lookup_grafana_user SET default_transaction_read_only = on;
ALTER ROLE bulk_lookup_grafana_user SET statement_timeout = '15s';
ALTER ROLE bulk_lookup_grafana_user CONNECTION LIMIT 10;

-- Nobody else comes in.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec
SELECT format(
    'GRANT CONNECT ON DATABASE %I TO bulk_lookup_ingest_user, bulk_lookup_lookup_user, '
    'bulk_lookup_results_user, bulk_lookup_grafana_user', current_database()) \gexec

COMMIT;

\if :{?passwords}
    -- The statements hold the passwords, and a server that logs statements would keep them.
    SELECT current_setting('is_superuser')::boolean AS may_be_silent \gset
    \if :may_be_silent
        SET log_statement = 'none';
        SET log_min_duration_statement = -1;
    \endif
    ALTER ROLE bulk_lookup_owner PASSWORD :'owner';
    ALTER ROLE bulk_lookup_ingest_user PASSWORD :'ingest';
    ALTER ROLE bulk_lookup_lookup_user PASSWORD :'lookup';
    ALTER ROLE bulk_lookup_results_user PASSWORD :'results';
    ALTER ROLE bulk_lookup_grafana_user PASSWORD :'grafana';
\endif
