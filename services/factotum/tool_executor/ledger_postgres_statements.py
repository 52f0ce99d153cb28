"""What the ledger says to PostgreSQL. Each statement is a transaction of its own unless it is used within one.

Of a clock, NULL stands for the database's.
"""

from __future__ import annotations

# A new key, which most are, in one statement: nothing is written where there is an entry.
BEGIN = """
INSERT INTO factotum_effects (
    tenant, key, tool, tool_version, arguments_sha256, arguments_json,
    run_id, step, iteration, procedure, event_source, event_id, "user",
    state, attempts, started_at, updated_at, lease_owner, lease_until, idempotency
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
    'started', 1, $14, $14, $15, COALESCE($16::timestamptz, clock_timestamp()) + $17::interval, $18
)
ON CONFLICT (tenant, key) DO NOTHING
RETURNING true
"""

FIND = "SELECT * FROM factotum_effects WHERE tenant = $1 AND key = $2"

POSSIBLE = """
SELECT true FROM factotum_effects WHERE tenant = $1 AND key = $2 AND (doubt OR state <> 'failed')
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

# One statement is one transaction: the state and what is told of it.
SETTLE = """
WITH settled AS (
    UPDATE factotum_effects SET
        state = $4, reason = $5, observation = $6, reconciled = $7, updated_at = $8, doubt = $9,
        arguments_json = CASE WHEN $10 THEN arguments_json END, lease_owner = NULL, lease_until = NULL
    WHERE tenant = $1 AND key = $2 AND lease_owner = $3
    RETURNING true
), told AS (
    INSERT INTO factotum_outbox (message_key, value, traceparent)
    SELECT one.* FROM unnest($11::text[], $12::bytea[], $13::text[]) AS one WHERE EXISTS (SELECT FROM settled)
)
SELECT count(*) FROM settled
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
