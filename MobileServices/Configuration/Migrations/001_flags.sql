-- One row: its version grows with every publication, and its lock puts the publications one after the other.
create table configuration.state (
    one boolean primary key default true check (one),
    version bigint not null
);

insert into configuration.state (version) values (0);

-- What is in force. A removed flag stays as a row without a body, so that replicas learn of it by its version.
create table configuration.flag (
    app_id text not null,
    key text not null,
    version bigint not null,
    body jsonb,
    published_at timestamptz not null,
    published_by text not null,
    primary key (app_id, key)
);

create index flag_version_order on configuration.flag (version);

-- All that ever was in force.
create table configuration.flag_version (
    app_id text not null,
    key text not null,
    version bigint not null,
    body jsonb,
    published_at timestamptz not null,
    published_by text not null,
    note text,
    primary key (app_id, key, version)
);

create table configuration.draft (
    app_id text not null,
    key text not null,
    body jsonb not null,
    revision bigint generated always as identity,
    updated_at timestamptz not null,
    updated_by text not null,
    publish_at timestamptz,
    note text,
    -- Why the publication that was due did not happen.
    problem text,
    primary key (app_id, key)
);

create index draft_due on configuration.draft (publish_at) where publish_at is not null;

create table configuration.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    who text not null,
    app_id text not null,
    key text not null,
    action text not null,
    before jsonb,
    after jsonb,
    note text
);

create index audit_flag on configuration.audit (app_id, key, id);

create function configuration.tell() returns trigger language plpgsql as $$
begin
    perform pg_notify('configuration_changed', '');
    return null;
end $$;

create trigger flag_changed after insert or update on configuration.flag for each statement execute function configuration.tell();
create trigger draft_changed after insert or update of publish_at on configuration.draft for each statement execute function configuration.tell();
