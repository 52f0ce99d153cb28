"""What the ledger says to PostgreSQL. Each statement is a transaction of its own unless it is used within one.

Of a clock, NULL stands for the database's.
"""

from __future__ import annotations

# New keys, which most are, in one statement: nothing is written where there is an entry. In the order of the keys, so
# that executors which meet at some of them wait for each other one way round. Answers which were written.
BEGIN = """
INSERT INTO factotum_effects (
    tenant, key, tool, tool_version, arguments_sha256, arguments_json,
    run_id, step, iteration, procedure, event_source, event_id, "user",
    state, attempts, started_at, updated_at, lease_owner, lease_until, idempotency
)
SELECT
    tenant, key, tool, tool_version, arguments_sha256, arguments_json,
    run_id, step, iteration, procedure, event_source, event_id, "user",
    'started', 1, asked_at, asked_at, owner, COALESCE(clock, clock_timestamp()) + lease, idempotency
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
    $14::timestamptz[], $15::text[], $16::timestamptz[], $17::interval[], $18::text[]
) AS claim (
    tenant, key, tool, tool_version, arguments_sha256, arguments_json,
    run_id, step, iteration, procedure, event_source, event_id, "user",
    asked_at, owner, clock, lease, idempotency
)
ORDER BY tenant, key
ON CONFLICT (tenant, key) DO NOTHING
RETURNING tenant, key, lease_owner
"""

FIND = "SELECT * FROM factotum_effects WHERE tenant = $1 AND key = $2"

POSSIBLE = """
SELECT tenant, key FROM factotum_effects JOIN unnest($1::text[], $2::text[]) AS asked (tenant, key) USING (tenant, key)
WHERE doubt OR state <> 'failed'
"""

FIND_LOCKED = """
SELECT *, COALESCE($3::timestamptz, clock_timestamp()) AS here
FROM factotum_effects WHERE tenant = $1 AND key = $2 FOR UPDATE
"""

TAKE_UP = """
UPDATE factotum_effects SET
    state = 'started', attempts = $3, tool_version = $4, lease_owner = $5, lease_until = $6, updated_at = $7,
    doubt = $8, arguments_json = $9, arguments_sha256 = $10, idempotency = $11
WHERE tenant = $1 AND key = $2
"""

RENEW = """
UPDATE factotum_effects SET lease_until = COALESCE($4::timestamptz, clock_timestamp()) + $5::interval
WHERE tenant = $1 AND key = $2 AND lease_owner = $3
RETURNING true
"""

# One statement is one transaction: the states and what is told of them. Answers which were settled, counted from 1.
SETTLE = """
WITH settled AS (
    UPDATE factotum_effects AS effect SET
        state = one.state, reason = one.reason, observation = one.observation, reconciled = one.reconciled,
        updated_at = one.asked_at, doubt = one.doubt,
        arguments_json = CASE WHEN one.unknown THEN effect.arguments_json END, lease_owner = NULL, lease_until = NULL
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
        $6::bytea[], $7::boolean[], $8::timestamptz[], $9::boolean[], $10::boolean[]
    ) WITH ORDINALITY AS one (
        tenant, key, owner, state, reason, observation, reconciled, asked_at, doubt, unknown, number
    )
    WHERE effect.tenant = one.tenant AND effect.key = one.key AND effect.lease_owner = one.owner
    RETURNING one.number
), told AS (
    INSERT INTO factotum_outbox (message_key, value, traceparent)
    SELECT one.message_key, one.value, one.traceparent
    FROM unnest($11::bigint[], $12::text[], $13::bytea[], $14::text[]) AS one (number, message_key, value, traceparent)
    WHERE one.number IN (SELECT number FROM settled)
)
SELECT number FROM settled
"""

RESOLVE = """
UPDATE factotum_effects SET
    state = $3, reason = $4, observation = $5, updated_at = $6, doubt = false, arguments_json = NULL
WHERE tenant = $1 AND key = $2
"""

LIST = """
SELECT * FROM factotum_effects WHERE tenant = $1 AND state = ANY($2::text[]) AND ($3 = '' OR run_id = $3)
ORDER BY started_at DESC, key LIMIT $4
"""

PUT = """
INSERT INTO factotum_outbox (message_key, value, traceparent)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[])
"""

TAKE = """
SELECT id, message_key, value, traceparent FROM factotum_outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
"""

TAKE_OUT = "DELETE FROM factotum_outbox WHERE id = ANY($1::bigint[])"

FORGET = """
WITH forgotten AS (
    DELETE FROM factotum_effects WHERE (tenant, key) IN (
        SELECT tenant, key FROM factotum_effects
        WHERE state IN ('done', 'failed') AND NOT doubt AND updated_at < $1
        ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    RETURNING true
)
SELECT count(*) FROM forgotten
"""
