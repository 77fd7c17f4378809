alter table devices.device add column user_id text;
create index device_app on devices.device (app_id, platform, app_version, os_version);
create index device_user on devices.device (user_id) where user_id is not null;

create table devices.app (
    id text primary key,
    name text not null,
    registered_at timestamptz not null
);

create table devices.app_version (
    app_id text not null,
    platform text not null,
    version text not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    primary key (app_id, platform, version)
);

insert into devices.app (id, name, registered_at) select app_id, app_id, min(registered_at) from devices.device group by app_id;

insert into devices.app_version (app_id, platform, version, first_seen_at, last_seen_at)
select app_id, platform, app_version, min(registered_at), max(last_seen_at) from devices.device group by app_id, platform, app_version;

create table devices.rule (
    name text primary key,
    body jsonb not null,
    version bigint not null,
    updated_at timestamptz not null,
    updated_by text not null
);

-- A table of its own: a block outlives the registration, and may come before it.
create table devices.device_block (
    device_id uuid primary key,
    reason text not null
);

-- One row: its version grows with every change of what decides, and its lock puts the changes one after the other.
create table devices.gate (
    one boolean primary key default true check (one),
    version bigint not null
);

insert into devices.gate (version) values (1);

create table devices.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    who text not null,
    kind text not null,
    key text not null,
    action text not null,
    before jsonb,
    after jsonb
);

create index audit_key on devices.audit (kind, key, id);

create table devices.decision_key (
    id text primary key,
    private_key bytea not null,
    use_from timestamptz not null
);
