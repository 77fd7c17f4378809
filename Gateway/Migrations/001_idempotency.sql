-- A row is a call that carried an Idempotency-Key: claimed while its status is null, answered afterwards.
create table gateway.idempotency (
    id bytea primary key,
    fingerprint bytea not null,
    claim uuid not null,
    lease_until timestamptz not null,
    expires_at timestamptz not null,
    status int,
    headers jsonb,
    body bytea
);

create index on gateway.idempotency (expires_at);
