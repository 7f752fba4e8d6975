-- What Grafana, and a person who looks for a fault, may read: counts, states, times, ids and
-- places. Never a number, a reference, a file's name, what Twilio or a person said, or a record's
-- bytes. The role is made by the migrator before this runs.

-- What ended, over all jobs: by hour, by state, and the last of each. Built while the release
-- before still runs: results waits for it, as for any lock, and goes on.
CREATE INDEX requests_by_end ON requests (state, ended_at) WHERE ended_at IS NOT NULL;
-- The few that ended with a package that brought no answer, over all jobs.
CREATE INDEX requests_failed_by_end ON requests (ended_at)
    WHERE ended_at IS NOT NULL AND answers @? '$.*.status ? (@ <> "ok")';

-- Each package of each contact that ended, without what Twilio said. Read it with a range of
-- `ended_at` and, for what went wrong, with `has_failures`, which is the index above.
CREATE VIEW package_outcomes AS
SELECT r.request_id, r.job_id, r.account, r.state, r.ended_at, p.package,
       p.answer->>'status' AS status, p.answer->>'code' AS code, p.answer->>'billed' AS billed,
       coalesce((p.answer->>'reused')::boolean, false) AS reused,
       r.answers @? '$.*.status ? (@ <> "ok")' AS has_failures
FROM requests r CROSS JOIN LATERAL jsonb_each(r.answers) AS p (package, answer)
WHERE r.ended_at IS NOT NULL;

GRANT USAGE ON SCHEMA public TO bulk_lookup_grafana;
GRANT SELECT (job_id, source, state, account, packages, created_at, sealed_at, accepted, rejected,
    duplicates) ON jobs TO bulk_lookup_grafana;
GRANT SELECT (request_id, job_id, account, packages, accepted_at, state, generation, turn, attempts,
    last_error, causes, due_at, parked_at, ended_at, updated_at) ON requests TO bulk_lookup_grafana;
GRANT SELECT (topic, partition, "offset", dead_letter_id, reason, original_topic,
    original_partition, original_offset, job_id, request_id, account, attempts, first_failed_at,
    last_failed_at, recorded_at) ON dead_letters TO bulk_lookup_grafana;
GRANT SELECT (key, held, at) ON holds TO bulk_lookup_grafana;
GRANT SELECT ON package_outcomes, history, job_counts, stored_offsets, schema_migrations
    TO bulk_lookup_grafana;
-- `bulk-lookup check` beside a program says whether the schema is this release's.
GRANT SELECT ON schema_migrations TO bulk_lookup_ingest, bulk_lookup_lookup, bulk_lookup_results;
