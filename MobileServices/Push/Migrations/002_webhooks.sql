-- Where an app's backend wants to be told, and of what.
create table push.webhook (
    app_id text primary key,
    url text not null,
    events text[] not null,
    -- Sealed when Keys:Secret is set. While it is changed the one before signs as well.
    secret bytea not null,
    old_secret bytea,
    old_secret_until timestamptz,
    saved_at timestamptz not null,
    saved_by text not null,
    -- It asked to wait.
    paused_until timestamptz,
    -- It answered that it is gone (410): nothing is sent until it is saved anew.
    stopped_at timestamptz,
    reason text
);

-- The queue, and what became of it.
create table push.webhook_event (
    -- The header webhook-id, the same however often it is sent.
    id text primary key default 'msg_' || replace(gen_random_uuid()::text, '-', ''),
    number bigint generated always as identity unique,
    app_id text not null references push.webhook on delete cascade,
    type text not null,
    data jsonb not null,
    -- pending, delivered, failed
    state text not null,
    attempts integer not null default 0,
    due_at timestamptz not null default now(),
    last_status integer,
    problem text,
    created_at timestamptz not null default now(),
    delivered_at timestamptz
);

create index webhook_event_due on push.webhook_event (app_id, due_at) where state = 'pending';
create index webhook_event_order on push.webhook_event (app_id, state, number);
create index webhook_event_age on push.webhook_event (created_at) where state <> 'pending';

-- When the last of a message's deliveries had come to its end; told once. Wake-ups are not told of.
alter table push.message add column finished_at timestamptz;
create index message_unfinished on push.message (send_at) where finished_at is null and sender <> 'wakeups';
create index delivery_unfinished on push.delivery (message_id) where state in ('pending', 'sending');
