-- The first schema. Forward only; `pre` runs before the code that needs it is deployed.
-- Group roles, one per program, are made by the migrator before this runs.

-- One row per upload, or per upstream source (`standing`). Written by ingest; by results
-- for standing jobs, which ingest publishes without touching PostgreSQL.
CREATE TABLE jobs (
    job_id          uuid PRIMARY KEY,
    source          text NOT NULL,
    state           text NOT NULL CHECK (state IN ('receiving', 'sealed', 'standing')),
    idempotency_key text,
    -- SHA-256 over content and options: the same key with another one is refused.
    fingerprint     text,
    file_name       text,
    account         text NOT NULL,
    packages        text[] NOT NULL,
    options         jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    sealed_at       timestamptz,
    -- Fixed when sealed: what results will have read when it is past the job's records.
    accepted        bigint,
    rejected        bigint,
    duplicates      bigint
);
CREATE INDEX jobs_by_creation ON jobs (created_at DESC, job_id DESC);

-- One row per contact, as `services.contracts.turns` decides it.
CREATE TABLE requests (
    request_id    uuid PRIMARY KEY,
    job_id        uuid NOT NULL,
    source        text NOT NULL,
    account       text NOT NULL,
    phone         text NOT NULL,
    country       text,
    packages      text[] NOT NULL,
    reference     text,
    row_number    bigint,
    column_name   text,
    accepted_at   timestamptz NOT NULL,
    fresh_for     jsonb NOT NULL DEFAULT '{}',
    state         text NOT NULL CHECK (state IN ('pending', 'releasing', 'retrying', 'parked',
                      'completed', 'invalid', 'dead', 'cancelled', 'erased')),
    generation    integer NOT NULL,
    turn          integer NOT NULL,
    attempts      integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    last_error    text,
    causes        text[] NOT NULL DEFAULT '{}',
    kept          text,
    answers       jsonb NOT NULL DEFAULT '{}',
    -- When a retry is due.
    due_at        timestamptz,
    -- When it was parked; what the age of its failures leaves out.
    parked_at     timestamptz,
    -- When it was completed, found invalid, or died.
    ended_at      timestamptz,
    updated_at    timestamptz NOT NULL DEFAULT now()
);
-- Pages of a job's results, by state or all, in the order of the file.
-- What came from `contacts.inbound` has no row, and stands before all that has one.
CREATE INDEX requests_by_job ON requests (job_id, (coalesce(row_number, 0)), request_id);
CREATE INDEX requests_by_job_state
    ON requests (job_id, state, (coalesce(row_number, 0)), request_id);
-- The few of a large job with a package that brought no answer.
CREATE INDEX requests_with_failures ON requests (job_id, (coalesce(row_number, 0)), request_id)
    WHERE answers @? '$.*.status ? (@ <> "ok")';
CREATE INDEX requests_by_phone ON requests (phone, accepted_at DESC);
-- Release goes over these two, a page at a time.
CREATE INDEX requests_parked ON requests (request_id) INCLUDE (account) WHERE state = 'parked';
CREATE INDEX requests_releasing ON requests (request_id) WHERE state = 'releasing';
-- The oldest unfinished request, for the alert on retention.
CREATE INDEX requests_unfinished ON requests (accepted_at)
    WHERE state IN ('pending', 'releasing', 'retrying', 'parked');
-- A job's rate, and what ended last.
CREATE INDEX requests_ended ON requests (job_id, state, ended_at) WHERE ended_at IS NOT NULL;

-- The newest final answer per account, number and package: what need not be paid again.
CREATE TABLE answers (
    account      text NOT NULL,
    phone        text NOT NULL,
    package      text NOT NULL,
    looked_up_at timestamptz NOT NULL,
    answer       jsonb NOT NULL,
    request_id   uuid NOT NULL,
    -- The number first: a search asks for all accounts.
    PRIMARY KEY (phone, account, package)
);

-- Every change of a request, by the record that made it; a release is none of a record.
-- Places are no key: a topic that is made anew counts from 0 again. Each record is stored
-- once because `stored_offsets` moves in the same transaction.
CREATE TABLE history (
    request_id   uuid NOT NULL,
    topic        text,
    partition    integer,
    "offset"     bigint,
    at           timestamptz NOT NULL,
    from_state   text,
    to_state     text NOT NULL,
    generation   integer NOT NULL,
    turn         integer NOT NULL,
    attempts     integer NOT NULL,
    last_error   text
);
CREATE INDEX history_by_request ON history (request_id, at);

CREATE TABLE rejected (
    rejection_id uuid PRIMARY KEY,
    job_id       uuid NOT NULL,
    row_number   bigint NOT NULL,
    column_name  text,
    reason       text NOT NULL,
    masked_text  text NOT NULL,
    rejected_at  timestamptz NOT NULL
);
CREATE INDEX rejected_by_job ON rejected (job_id, row_number, rejection_id);

-- Dead letters as they came; what could not be read as one is kept as bytes.
CREATE TABLE dead_letters (
    topic           text NOT NULL,
    partition       integer NOT NULL,
    "offset"        bigint NOT NULL,
    -- Its own, by which one that was produced twice is stored once; for what could not be read,
    -- an id that follows from its place, time and bytes.
    dead_letter_id  uuid PRIMARY KEY,
    reason          text NOT NULL,
    detail          text NOT NULL,
    original_topic  text,
    original_partition integer,
    original_offset bigint,
    job_id          uuid,
    request_id      uuid,
    account         text,
    attempts        integer,
    first_failed_at timestamptz,
    last_failed_at  timestamptz,
    recorded_at     timestamptz NOT NULL,
    -- The record's own bytes, from which the original can be rebuilt.
    value           bytea
);
-- Pages of them, newest first.
CREATE INDEX dead_letters_by_time ON dead_letters (recorded_at, topic, partition, "offset");
CREATE INDEX dead_letters_by_reason
    ON dead_letters (reason, recorded_at, topic, partition, "offset");
CREATE INDEX dead_letters_by_job
    ON dead_letters (job_id, recorded_at, topic, partition, "offset");

-- `lookup.control` as last read.
CREATE TABLE holds (
    key  text PRIMARY KEY,
    held boolean NOT NULL,
    why  text NOT NULL,
    by   text NOT NULL,
    at   timestamptz NOT NULL
);

-- Rows by state (and `rejected`), moved by the difference each record really made.
CREATE TABLE job_counts (
    job_id uuid NOT NULL,
    state  text NOT NULL,
    n      bigint NOT NULL,
    PRIMARY KEY (job_id, state)
);

-- The consumer's own place, moved in the transaction that stores what was read.
CREATE TABLE stored_offsets (
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

GRANT USAGE ON SCHEMA public TO bulk_lookup_ingest, bulk_lookup_lookup, bulk_lookup_results;
GRANT SELECT, INSERT, UPDATE ON jobs TO bulk_lookup_ingest;
GRANT SELECT ON requests, answers, stored_offsets TO bulk_lookup_lookup;
GRANT SELECT, INSERT, UPDATE ON jobs, requests, answers, history, rejected, dead_letters, holds,
    job_counts, stored_offsets TO bulk_lookup_results;
