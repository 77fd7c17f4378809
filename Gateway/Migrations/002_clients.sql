-- Applications that call the gateway, their plans and keys. The plans themselves are configuration.
create table gateway.client (
    id text primary key,
    name text not null,
    plan text not null,
    created_at timestamptz not null default now()
);

-- Of a key only its SHA-256 and its first characters are kept.
create table gateway.api_key (
    id uuid primary key,
    client text not null references gateway.client (id),
    hash bytea not null unique,
    prefix text not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at timestamptz
);

create index on gateway.api_key (client);

create table gateway.client_audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    who text not null,
    client text not null,
    action text not null,
    before jsonb,
    after jsonb
);

create index on gateway.client_audit (client, id);

-- One row: every change makes it one more, and the lock on it puts changes one after the other.
create table gateway.client_version (
    version bigint not null
);

insert into gateway.client_version values (1);
