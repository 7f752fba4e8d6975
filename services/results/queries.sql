-- Everything the API reads. A block is `-- name: NAME`, a line of purpose, and the query.
-- Pages go on after the place of a cursor; one row more than asked for says that there are more.

-- name: jobs_page
-- Jobs, newest first. $1, $2: after this creation and id; $3: how many.
SELECT j.job_id, j.source, j.state, j.file_name, j.account, j.packages, j.created_at, j.sealed_at,
       j.accepted, j.rejected, j.duplicates, c.counts
FROM jobs j
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_object_agg(state, n), '{}') AS counts
    FROM job_counts WHERE job_id = j.job_id
) c
WHERE (j.created_at, j.job_id) < ($1, $2)
ORDER BY j.created_at DESC, j.job_id DESC
LIMIT $3

-- name: job
-- One job with its counts. $1: its id.
SELECT j.job_id, j.source, j.state, j.file_name, j.account, j.packages, j.created_at, j.sealed_at,
       j.accepted, j.rejected, j.duplicates, c.counts
FROM jobs j
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_object_agg(state, n), '{}') AS counts
    FROM job_counts WHERE job_id = j.job_id
) c
WHERE j.job_id = $1

-- name: job_file
-- What is known of the file that a job came in. $1: the job.
SELECT state, options, headings FROM jobs WHERE job_id = $1

-- name: job_ended_since
-- How many of a job's contacts ended since then. $1: the job; $2: since.
SELECT count(*)
FROM requests
WHERE job_id = $1 AND state IN ('completed', 'invalid', 'dead', 'cancelled') AND ended_at > $2

-- name: job_last_ended
-- A job's contacts that ended last in a state. $1: the job; $2: the state; $3: how many.
SELECT r.*
FROM requests r
WHERE job_id = $1 AND state = $2 AND ended_at IS NOT NULL
ORDER BY ended_at DESC
LIMIT $3

-- name: job_packages
-- What came of each package of a job, and whether it was billed. $1: the job.
SELECT package AS package, answer->>'status' AS status, answer->>'code' AS code,
       answer->>'reason' AS reason, coalesce((answer->>'reused')::boolean, false) AS reused,
       answer->>'billed' AS billed, count(*) AS n
FROM requests r CROSS JOIN LATERAL jsonb_each(r.answers) AS of_package (package, answer)
WHERE r.job_id = $1
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 1, n DESC

-- name: job_reasons
-- Why a job's contacts are dead, not numbers to Twilio, tried again or held. $1: the job.
WITH letters AS (
    SELECT DISTINCT ON (request_id) request_id, reason
    FROM dead_letters WHERE job_id = $1 AND request_id IS NOT NULL
    ORDER BY request_id, recorded_at DESC
)
SELECT r.state, CASE r.state
           WHEN 'dead' THEN coalesce(l.reason, r.last_error)
           WHEN 'invalid' THEN r.answers #>> '{basic,data,validation_errors,0}'
           WHEN 'parked' THEN array_to_string(r.causes, ', ')
           ELSE r.last_error
       END AS reason, count(*) AS n
FROM requests r LEFT JOIN letters l USING (request_id)
WHERE r.job_id = $1 AND r.state IN ('dead', 'invalid', 'retrying', 'parked')
GROUP BY 1, 2
ORDER BY 1, n DESC
LIMIT 100

-- name: job_holds
-- What holds a job, or its account. $1: start of the job's keys; $2: of the account's.
SELECT key, why, by, at FROM holds
WHERE held AND (starts_with(key, $1) OR starts_with(key, $2))
ORDER BY key

-- name: results_page
-- Contacts of a job in the order of the file. $1: the job; $2, $3: after this row and id; $4: how many.
SELECT r.*
FROM requests r
WHERE job_id = $1 AND (coalesce(row_number, 0), request_id) > ($2, $3)
ORDER BY coalesce(row_number, 0), request_id
LIMIT $4

-- name: results_page_by_state
-- The same, in one state. $5: the state.
SELECT r.*
FROM requests r
WHERE job_id = $1 AND state = $5 AND (coalesce(row_number, 0), request_id) > ($2, $3)
ORDER BY coalesce(row_number, 0), request_id
LIMIT $4

-- name: results_page_by_answer
-- The same, with a package answered like this, taken as frequent. $5: states; $6: a path that its answers hold.
SELECT r.*
FROM requests r
WHERE job_id = $1 AND state = ANY ($5) AND jsonb_path_exists(answers, $6::text::jsonpath)
  AND (coalesce(row_number, 0), request_id) > ($2, $3)
ORDER BY coalesce(row_number, 0), request_id
LIMIT $4

-- name: results_page_by_failure
-- The same, for a package without an answer: over the index of these. $5, $6 as before.
SELECT r.*
FROM requests r
WHERE job_id = $1 AND answers @? '$.*.status ? (@ <> "ok")'
  AND state = ANY ($5) AND jsonb_path_exists(answers, $6::text::jsonpath)
  AND (coalesce(row_number, 0), request_id) > ($2, $3)
ORDER BY coalesce(row_number, 0), request_id
LIMIT $4

-- name: rejected_page
-- Rows of a job that cannot be a number. $1: the job; $2, $3: after this row and id; $4: how many.
SELECT rejection_id, row_number, column_name, reason, masked_text, rejected_at
FROM rejected
WHERE job_id = $1 AND (row_number, rejection_id) > ($2, $3)
ORDER BY row_number, rejection_id
LIMIT $4

-- name: rejected_cells_page
-- The same, with the rows themselves, not masked.
SELECT rejection_id, row_number, column_name, reason, cells, cut
FROM rejected
WHERE job_id = $1 AND (row_number, rejection_id) > ($2, $3)
ORDER BY row_number, rejection_id
LIMIT $4

-- name: number_answers
-- The newest answers for a number. $1: the number; $2: the accounts' name, or all if null.
SELECT account, package, looked_up_at, answer, request_id
FROM answers
WHERE phone = $1 AND ($2::text IS NULL OR account = $2)
ORDER BY account, package

-- name: number_requests
-- Who asked for a number, newest first. $1, $2 as before; $3: how many.
SELECT r.*
FROM requests r
WHERE phone = $1 AND ($2::text IS NULL OR account = $2)
ORDER BY accepted_at DESC
LIMIT $3

-- name: dead_letters_page
-- Dead letters, newest first. $1 to $4: after this time, topic, partition, offset; $5: how many.
SELECT d.topic, d.partition, d."offset", d.dead_letter_id, d.reason, d.detail, d.original_topic,
       d.original_partition, d.original_offset, d.job_id, d.request_id, d.account, d.attempts,
       d.first_failed_at, d.last_failed_at, d.recorded_at,
       r.phone, r.reference, r.row_number, r.state AS state_now
FROM dead_letters d LEFT JOIN requests r ON r.request_id = d.request_id
WHERE (d.recorded_at, d.topic, d.partition, d."offset") < ($1, $2, $3, $4)
ORDER BY d.recorded_at DESC, d.topic DESC, d.partition DESC, d."offset" DESC
LIMIT $5

-- name: dead_letters_page_by_reason
-- The same, of one reason. $6: the reason.
SELECT d.topic, d.partition, d."offset", d.dead_letter_id, d.reason, d.detail, d.original_topic,
       d.original_partition, d.original_offset, d.job_id, d.request_id, d.account, d.attempts,
       d.first_failed_at, d.last_failed_at, d.recorded_at,
       r.phone, r.reference, r.row_number, r.state AS state_now
FROM dead_letters d LEFT JOIN requests r ON r.request_id = d.request_id
WHERE d.reason = $6 AND (d.recorded_at, d.topic, d.partition, d."offset") < ($1, $2, $3, $4)
ORDER BY d.recorded_at DESC, d.topic DESC, d.partition DESC, d."offset" DESC
LIMIT $5

-- name: dead_letters_page_by_job
-- The same, of one job, and of one reason unless null. $6: the job; $7: the reason.
SELECT d.topic, d.partition, d."offset", d.dead_letter_id, d.reason, d.detail, d.original_topic,
       d.original_partition, d.original_offset, d.job_id, d.request_id, d.account, d.attempts,
       d.first_failed_at, d.last_failed_at, d.recorded_at,
       r.phone, r.reference, r.row_number, r.state AS state_now
FROM dead_letters d LEFT JOIN requests r ON r.request_id = d.request_id
WHERE d.job_id = $6 AND ($7::text IS NULL OR d.reason = $7)
  AND (d.recorded_at, d.topic, d.partition, d."offset") < ($1, $2, $3, $4)
ORDER BY d.recorded_at DESC, d.topic DESC, d.partition DESC, d."offset" DESC
LIMIT $5

-- name: dead_letters_by_reason
-- How many dead letters there are of each reason, and the newest of them.
SELECT reason, count(*) AS n, max(recorded_at) AS newest
FROM dead_letters
GROUP BY reason
ORDER BY n DESC

-- name: accounts
-- Accounts that have a job, something held, or a hold, with how many contacts wait.
WITH parked AS (
    SELECT account, count(*) AS n FROM requests WHERE state = 'parked' GROUP BY account
)
SELECT account, coalesce(p.n, 0) AS parked
FROM (
    SELECT account FROM jobs
    UNION SELECT account FROM parked
    UNION SELECT split_part(key, ':', 2) FROM holds WHERE starts_with(key, 'account:')
) known LEFT JOIN parked p USING (account)
ORDER BY account

-- name: holds
-- Everything that is held now.
SELECT key, why, by, at FROM holds WHERE held ORDER BY key

-- name: counts
-- Contacts by state, over all jobs; `rejected` stands beside the states.
SELECT state, sum(n)::bigint AS n FROM job_counts GROUP BY state

-- name: jobs_by_state
-- How many jobs there are in each state.
SELECT state, count(*) AS n FROM jobs GROUP BY state

-- name: oldest_unfinished
-- The contact that waits longest for its end.
SELECT request_id, job_id, account, state, accepted_at
FROM requests
WHERE state IN ('pending', 'releasing', 'retrying', 'parked')
ORDER BY accepted_at
LIMIT 1
