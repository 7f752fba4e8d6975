-- as ingest
INSERT INTO jobs (job_id, source, state, idempotency_key, fingerprint, file_name, account, packages, options) VALUES ($1, $2, 'receiving', $3, $4, $5, $6, $7, $8) ON CONFLICT (job_id) DO NOTHING;

-- as ingest
SELECT 1;

-- as ingest
SELECT fingerprint, options->>'content_sha256' AS content_sha256, created_at, state, accepted, rejected, duplicates FROM jobs WHERE job_id = $1;

-- as ingest
SELECT pg_try_advisory_lock($1);

-- as ingest
UPDATE jobs SET state = 'sealed', sealed_at = now(), accepted = $2, rejected = $3, duplicates = $4 WHERE job_id = $1 AND state = 'receiving';

-- as lookup
SELECT r.state, r.generation, r.turn, r.causes, r.kept, r.answers::text AS answers,
    (SELECT json_object_agg(k.package, k.answer)::text FROM answers k
        WHERE k.account = a.account AND k.phone = a.phone) AS known,
    CASE WHEN a.n = 1 THEN
        (SELECT json_agg(json_build_array(s.topic, s.partition, s.next_offset))::text
            FROM stored_offsets s WHERE s.topic = ANY($4))
    END AS offsets
FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY
    AS a(request_id, account, phone, n)
LEFT JOIN requests r ON r.request_id = a.request_id
ORDER BY a.n;

-- as results
INSERT INTO answers (account, phone, package, looked_up_at, answer, request_id)
SELECT account, phone, package, looked_up_at, answer::jsonb, request_id
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::uuid[])
    AS new (account, phone, package, looked_up_at, answer, request_id)
ON CONFLICT (account, phone, package) DO UPDATE
SET looked_up_at = EXCLUDED.looked_up_at, answer = EXCLUDED.answer,
    request_id = EXCLUDED.request_id
WHERE answers.looked_up_at < EXCLUDED.looked_up_at;

-- as results
INSERT INTO dead_letters (topic, partition, "offset", dead_letter_id, reason, detail,
    original_topic, original_partition, original_offset, job_id, request_id, account, attempts,
    first_failed_at, last_failed_at, recorded_at, value)
SELECT *
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[],
    $8::int[], $9::bigint[], $10::uuid[], $11::uuid[], $12::text[], $13::int[],
    $14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::bytea[])
ON CONFLICT (dead_letter_id) DO NOTHING;

-- as results
INSERT INTO history (request_id, topic, partition, "offset", at, from_state, to_state, generation,
    turn, attempts, last_error)
SELECT *
FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::timestamptz[], $6::text[],
    $7::text[], $8::int[], $9::int[], $10::int[], $11::text[]);

-- as results
INSERT INTO holds (key, held, why, by, at)
SELECT * FROM unnest($1::text[], $2::boolean[], $3::text[], $4::text[], $5::timestamptz[])
ON CONFLICT (key) DO UPDATE
SET held = EXCLUDED.held, why = EXCLUDED.why, by = EXCLUDED.by, at = EXCLUDED.at;

-- as results
INSERT INTO job_counts (job_id, state, n)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[])
ON CONFLICT (job_id, state) DO UPDATE SET n = job_counts.n + EXCLUDED.n;

-- as results
INSERT INTO jobs (job_id, source, state, account, packages)
SELECT job_id, source, 'standing', account, packages::text[]
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
    AS new (job_id, source, account, packages)
ON CONFLICT (job_id) DO NOTHING;

-- as results
INSERT INTO rejected (rejection_id, job_id, row_number, column_name, reason, masked_text,
    rejected_at)
SELECT *
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[],
    $7::timestamptz[])
ON CONFLICT (rejection_id) DO NOTHING
RETURNING job_id;

-- as results
INSERT INTO requests (request_id, job_id, source, account, phone, country, packages, reference,
    row_number, column_name, accepted_at, fresh_for, state, generation, turn, attempts,
    failing_since, last_error, causes, kept, answers, due_at, parked_at, ended_at)
SELECT request_id, job_id, source, account, phone, country, packages::text[], reference,
    row_number, column_name, accepted_at, fresh_for::jsonb, state, generation, turn, attempts,
    failing_since, last_error, causes::text[], kept, answers::jsonb, due_at, parked_at, ended_at
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::bigint[], $10::text[], $11::timestamptz[], $12::text[], $13::text[],
        $14::int[], $15::int[], $16::int[], $17::timestamptz[], $18::text[], $19::text[],
        $20::text[], $21::text[], $22::timestamptz[], $23::timestamptz[], $24::timestamptz[])
    AS new (request_id, job_id, source, account, phone, country, packages, reference,
        row_number, column_name, accepted_at, fresh_for, state, generation, turn, attempts,
        failing_since, last_error, causes, kept, answers, due_at, parked_at, ended_at)
ON CONFLICT (request_id) DO NOTHING
RETURNING request_id;

-- as results
INSERT INTO stored_offsets (topic, partition, next_offset)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
ON CONFLICT (topic, partition) DO NOTHING;

-- as results
SELECT account, package, looked_up_at, answer, request_id
FROM answers
WHERE phone = $1 AND ($2::text IS NULL OR account = $2)
ORDER BY account, package;

-- as results
SELECT coalesce(extract(epoch FROM now() - min(accepted_at)), 0)::float8
FROM requests
WHERE state IN ('pending', 'releasing', 'retrying', 'parked');

-- as results
SELECT count(*)
FROM requests
WHERE job_id = $1 AND state IN ('completed', 'invalid', 'dead', 'cancelled') AND ended_at > $2;

-- as results
SELECT d.topic, d.partition, d."offset", d.dead_letter_id, d.reason, d.detail, d.original_topic,
       d.original_partition, d.original_offset, d.job_id, d.request_id, d.account, d.attempts,
       d.first_failed_at, d.last_failed_at, d.recorded_at,
       r.phone, r.reference, r.row_number, r.state AS state_now
FROM dead_letters d LEFT JOIN requests r ON r.request_id = d.request_id
WHERE (d.recorded_at, d.topic, d.partition, d."offset") < ($1, $2, $3, $4)
ORDER BY d.recorded_at DESC, d.topic DESC, d.partition DESC, d."offset" DESC
LIMIT $5;

-- as results
SELECT d.topic, d.partition, d."offset", d.dead_letter_id, d.reason, d.detail, d.original_topic,
       d.original_partition, d.original_offset, d.job_id, d.request_id, d.account, d.attempts,
       d.first_failed_at, d.last_failed_at, d.recorded_at,
       r.phone, r.reference, r.row_number, r.state AS state_now
FROM dead_letters d LEFT JOIN requests r ON r.request_id = d.request_id
WHERE d.job_id = $6 AND ($7::text IS NULL OR d.reason = $7)
  AND (d.recorded_at, d.topic, d.partition, d."offset") < ($1, $2, $3, $4)
ORDER BY d.recorded_at DESC, d.topic DESC, d.partition DESC, d."offset" DESC
LIMIT $5;

-- as results
SELECT d.topic, d.partition, d."offset", d.dead_letter_id, d.reason, d.detail, d.original_topic,
       d.original_partition, d.original_offset, d.job_id, d.request_id, d.account, d.attempts,
       d.first_failed_at, d.last_failed_at, d.recorded_at,
       r.phone, r.reference, r.row_number, r.state AS state_now
FROM dead_letters d LEFT JOIN requests r ON r.request_id = d.request_id
WHERE d.reason = $6 AND (d.recorded_at, d.topic, d.partition, d."offset") < ($1, $2, $3, $4)
ORDER BY d.recorded_at DESC, d.topic DESC, d.partition DESC, d."offset" DESC
LIMIT $5;

-- as results
SELECT j.job_id, j.source, j.state, j.file_name, j.account, j.packages, j.created_at, j.sealed_at,
       j.accepted, j.rejected, j.duplicates, c.counts
FROM jobs j
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_object_agg(state, n), '{}') AS counts
    FROM job_counts WHERE job_id = j.job_id
) c
WHERE (j.created_at, j.job_id) < ($1, $2)
ORDER BY j.created_at DESC, j.job_id DESC
LIMIT $3;

-- as results
SELECT j.job_id, j.source, j.state, j.file_name, j.account, j.packages, j.created_at, j.sealed_at,
       j.accepted, j.rejected, j.duplicates, c.counts
FROM jobs j
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_object_agg(state, n), '{}') AS counts
    FROM job_counts WHERE job_id = j.job_id
) c
WHERE j.job_id = $1;

-- as results
SELECT key, why, by, at FROM holds
WHERE held AND (starts_with(key, $1) OR starts_with(key, $2))
ORDER BY key;

-- as results
SELECT key, why, by, at FROM holds WHERE held ORDER BY key;

-- as results
SELECT package AS package, answer->>'status' AS status, answer->>'code' AS code,
       answer->>'reason' AS reason, coalesce((answer->>'reused')::boolean, false) AS reused,
       answer->>'billed' AS billed, count(*) AS n
FROM requests r CROSS JOIN LATERAL jsonb_each(r.answers) AS of_package (package, answer)
WHERE r.job_id = $1
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 1, n DESC;

-- as results
SELECT r.*
FROM requests r
WHERE job_id = $1 AND (coalesce(row_number, 0), request_id) > ($2, $3)
ORDER BY coalesce(row_number, 0), request_id
LIMIT $4;

-- as results
SELECT r.*
FROM requests r
WHERE job_id = $1 AND answers @? '$.*.status ? (@ <> "ok")'
  AND state = ANY ($5) AND jsonb_path_exists(answers, $6::text::jsonpath)
  AND (coalesce(row_number, 0), request_id) > ($2, $3)
ORDER BY coalesce(row_number, 0), request_id
LIMIT $4;

-- as results
SELECT r.*
FROM requests r
WHERE job_id = $1 AND state = $2 AND ended_at IS NOT NULL
ORDER BY ended_at DESC
LIMIT $3;

-- as results
SELECT r.*
FROM requests r
WHERE job_id = $1 AND state = $5 AND (coalesce(row_number, 0), request_id) > ($2, $3)
ORDER BY coalesce(row_number, 0), request_id
LIMIT $4;

-- as results
SELECT r.*
FROM requests r
WHERE job_id = $1 AND state = ANY ($5) AND jsonb_path_exists(answers, $6::text::jsonpath)
  AND (coalesce(row_number, 0), request_id) > ($2, $3)
ORDER BY coalesce(row_number, 0), request_id
LIMIT $4;

-- as results
SELECT r.*
FROM requests r
WHERE phone = $1 AND ($2::text IS NULL OR account = $2)
ORDER BY accepted_at DESC
LIMIT $3;

-- as results
SELECT reason, count(*) AS n, max(recorded_at) AS newest
FROM dead_letters
GROUP BY reason
ORDER BY n DESC;

-- as results
SELECT rejection_id, row_number, column_name, reason, masked_text, rejected_at
FROM rejected
WHERE job_id = $1 AND (row_number, rejection_id) > ($2, $3)
ORDER BY row_number, rejection_id
LIMIT $4;

-- as results
SELECT request_id, job_id, account, state, accepted_at
FROM requests
WHERE state IN ('pending', 'releasing', 'retrying', 'parked')
ORDER BY accepted_at
LIMIT 1;

-- as results
SELECT request_id, job_id, source, account, phone, country, packages, reference, row_number,
       column_name, accepted_at, fresh_for::text AS fresh_for, state, generation, turn, attempts,
       failing_since, last_error, causes, kept, answers::text AS answers, due_at, parked_at,
       ended_at
FROM requests
WHERE state = 'parked' AND request_id > $1 AND NOT causes && $2::text[]
  AND NOT account = ANY($3::text[])
  AND NOT ARRAY['job:' || job_id || ':person', 'job:' || job_id || ':configuration'] && $2::text[]
ORDER BY request_id
LIMIT $4
FOR UPDATE SKIP LOCKED;

-- as results
SELECT request_id, job_id, source, account, phone, country, packages, reference, row_number,
       column_name, accepted_at, fresh_for::text AS fresh_for, state, generation, turn, attempts,
       failing_since, last_error, causes, kept, answers::text AS answers, due_at, parked_at,
       ended_at
FROM requests
WHERE state = 'releasing' AND request_id > $1 AND updated_at <= now() - $2 * interval '1 second'
ORDER BY request_id
LIMIT $3;

-- as results
SELECT request_id, job_id, state, generation, turn, attempts, failing_since, last_error, causes,
       kept, answers::text AS answers, due_at, parked_at, ended_at
FROM requests
WHERE request_id = ANY($1::uuid[])
ORDER BY request_id
FOR UPDATE;

-- as results
SELECT state, count(*) AS n FROM jobs GROUP BY state;

-- as results
SELECT state, sum(n)::bigint AS n
FROM job_counts
GROUP BY state;

-- as results
SELECT state, sum(n)::bigint AS n FROM job_counts GROUP BY state;

-- as results
SELECT topic, partition, next_offset
FROM stored_offsets
JOIN unnest($1::text[], $2::int[]) AS mine (topic, partition) USING (topic, partition);

-- as results
UPDATE requests r
SET state = 'pending', updated_at = now()
FROM unnest($1::uuid[], $2::int[], $3::int[]) AS put (request_id, generation, turn)
WHERE r.request_id = put.request_id AND r.state = 'releasing'
  AND r.generation = put.generation AND r.turn = put.turn
RETURNING r.request_id;

-- as results
UPDATE requests r
SET state = n.state, generation = n.generation, turn = n.turn, attempts = n.attempts,
    failing_since = n.failing_since, last_error = n.last_error, causes = n.causes::text[],
    kept = n.kept, answers = n.answers::jsonb, due_at = n.due_at, parked_at = n.parked_at,
    ended_at = n.ended_at, updated_at = now()
FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::int[], $6::timestamptz[],
        $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[],
        $13::timestamptz[])
    AS n (request_id, state, generation, turn, attempts, failing_since, last_error, causes, kept,
        answers, due_at, parked_at, ended_at)
WHERE r.request_id = n.request_id;

-- as results
UPDATE stored_offsets s
SET next_offset = m.next
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])
    AS m (topic, partition, expected, next)
WHERE s.topic = m.topic AND s.partition = m.partition AND s.next_offset = m.expected
RETURNING 1;

-- as results
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
LIMIT 100;

-- as results
WITH parked AS (
    SELECT account, count(*) AS n FROM requests WHERE state = 'parked' GROUP BY account
)
SELECT account, coalesce(p.n, 0) AS parked
FROM (
    SELECT account FROM jobs
    UNION SELECT account FROM parked
    UNION SELECT split_part(key, ':', 2) FROM holds WHERE starts_with(key, 'account:')
) known LEFT JOIN parked p USING (account)
ORDER BY account;
