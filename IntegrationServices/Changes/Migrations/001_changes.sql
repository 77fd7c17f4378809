-- webhooks that were taken; the same message again has no effect
create table changes.webhook (
    system text not null,
    message_id text not null,
    received_at timestamptz not null default now(),
    primary key (system, message_id)
);
create index webhook_received on changes.webhook (received_at);

-- what the systems sign their webhooks with; made here, and told to them when the webhooks are ordered
create table changes.secret (
    system text primary key,
    secret text not null
);

-- how far the changes of a system that is polled were read
create table changes.mark (
    system text primary key,
    position text not null,
    at timestamptz not null default now()
);

-- files of the drop folder; a file that is dropped again with the same content is known by it
create table changes.file (
    name text not null,
    sha256 bytea not null,
    -- lines that are done
    lines int not null default 0,
    claimed_at timestamptz not null default now(),
    ended_at timestamptz,
    primary key (name, sha256)
);
create index file_ended on changes.file (ended_at);

-- what could not be understood
create table changes.set_aside (
    id uuid primary key,
    system text not null,
    source text not null check (source in ('webhook', 'poll', 'line', 'file')),
    -- the message, record, line or file
    reference text not null,
    reason text not null,
    content text not null,
    received_at timestamptz not null default now(),
    status text not null default 'open' check (status in ('open', 'replayed', 'discarded')),
    ended_at timestamptz,
    who text
);
create unique index set_aside_open on changes.set_aside (system, source, reference, md5(content)) where status = 'open';
create index set_aside_status on changes.set_aside (status, id);
