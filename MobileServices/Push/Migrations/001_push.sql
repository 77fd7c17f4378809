-- Where an installation can be reached, and what audiences may ask of it: one row each. An installation that changes its address changes its row.
create table push.registration (
    device_id uuid primary key,
    app_id text not null,
    user_id text,
    customer_id text,
    network text not null,
    address text not null,
    -- Endpoints are longer than an index entry may be.
    address_hash bytea not null,
    -- The origin of a Web Push endpoint, '' elsewhere: what an answer such as 429 is about.
    host text not null,
    p256dh bytea,
    auth bytea,
    platform text not null,
    app_version text not null,
    -- Sorts as the versions do (Registrations/VersionOrder.cs).
    version_order text collate "C" not null,
    locale text not null,
    time_zone text not null,
    tags text[] not null,
    -- Since when it has this address; a network that says that the address was dead before is wrong about this registration.
    registered_at timestamptz not null,
    last_seen_at timestamptz not null
);

create unique index registration_address on push.registration (app_id, network, address_hash);
create index registration_user on push.registration (user_id) where user_id is not null;
create index registration_customer on push.registration (customer_id) where customer_id is not null;
create index registration_tags on push.registration using gin (tags);

create table push.preference (
    user_id text primary key,
    quiet_from time,
    quiet_until time,
    -- Null: that of the device.
    time_zone text,
    muted text[] not null,
    updated_at timestamptz not null
);

create table push.credential (
    app_id text not null,
    network text not null,
    -- What may be shown.
    settings jsonb not null,
    -- What may not; sealed when Keys:Secret is set.
    secret bytea not null,
    saved_at timestamptz not null,
    saved_by text not null,
    primary key (app_id, network)
);

-- What is known of a credential at a host of its network: until when it has to wait, and whether it may send at all.
create table push.channel (
    app_id text not null,
    network text not null,
    host text not null,
    failures integer not null default 0,
    paused_until timestamptz,
    stopped_at timestamptz,
    reason text,
    primary key (app_id, network, host)
);

create table push.message (
    id uuid primary key,
    number bigint generated always as identity unique,
    app_id text not null,
    sender text not null,
    idempotency_key text,
    body_hash bytea,
    audience text not null,
    content jsonb not null,
    category text,
    collapse_key text,
    urgency text not null,
    silent boolean not null,
    ttl_seconds integer not null,
    -- From when it goes out, and until when it is worth anything; without a zone, and null, when that is in each device's own time.
    send_at timestamptz not null,
    send_local timestamp,
    expires_at timestamptz,
    cap_count integer,
    cap_hours integer,
    state text not null,
    recalled_at timestamptz,
    problem text,
    created_at timestamptz not null,
    traceparent text,
    tracestate text
);

create unique index message_idempotency on push.message (sender, idempotency_key) where idempotency_key is not null;
create index message_due on push.message (send_at) where state in ('scheduled', 'resolving');
create index message_age on push.message (created_at);

-- Deliveries that one process has claimed. Places up to "started" may have been written to the network, those after it have not: the mark is moved ahead
-- of every write, and moving it fails when another process has taken the batch over.
create table push.batch (
    id bigint generated always as identity primary key,
    started integer not null default 0,
    lease_until timestamptz not null
);

-- The ledger: one row a device and message, with every decision in its order.
create table push.delivery (
    message_id uuid not null references push.message on delete cascade,
    device_id uuid not null,
    network text not null,
    state text not null,
    due_at timestamptz not null,
    attempts integer not null default 0,
    -- What a pending one waits for: quiet, local, retry, channel.
    waits_for text,
    batch_id bigint,
    place integer,
    network_id text,
    -- Of a wake-up: what has changed.
    changed text[],
    finished_at timestamptz,
    delivered_at timestamptz,
    opened_at timestamptz,
    decisions jsonb not null default '[]',
    primary key (message_id, device_id)
) with (fillfactor = 70);

create index delivery_due on push.delivery (network, due_at) where state = 'pending';
create index delivery_sending on push.delivery (batch_id) where state = 'sending';
create index delivery_device on push.delivery (device_id);

create table push.template (
    app_id text not null,
    name text not null,
    content jsonb not null,
    updated_at timestamptz not null,
    updated_by text not null,
    primary key (app_id, name)
);

-- Our own push service (RFC 8030).
create table push.subscription (
    -- What senders know, and what its device knows.
    push_id text primary key,
    receive_id text not null unique,
    user_id text,
    -- With a key only its owner may send (RFC 8292, section 4).
    sender_key bytea,
    created_at timestamptz not null
);

create table push.stored (
    id text primary key,
    number bigint generated always as identity,
    push_id text not null references push.subscription on delete cascade,
    topic text,
    urgency text not null,
    encoding text,
    body bytea not null,
    -- Of our own sender: a message is stored once.
    message_id uuid,
    created_at timestamptz not null,
    expires_at timestamptz not null
);

create index stored_order on push.stored (push_id, number);
create unique index stored_topic on push.stored (push_id, topic) where topic is not null;
create unique index stored_message on push.stored (push_id, message_id) where message_id is not null;
create index stored_age on push.stored (expires_at);
