create table webhooks.subscriptions (
    id uuid primary key,
    system text not null,
    url text not null,
    secret text not null,
    events text[] not null,
    created_at timestamptz not null,
    unique (system, url)
);

create table webhooks.deliveries (
    id bigint generated always as identity primary key,
    system text not null,
    message_id text not null,
    subscription_id uuid not null references webhooks.subscriptions (id) on delete cascade,
    event text not null,
    record text not null,
    body text not null,
    status text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
    attempts int not null default 0,
    created_at timestamptz not null,
    next_attempt_at timestamptz not null,
    retry_until timestamptz not null,
    delivered_at timestamptz,
    last_status int,
    last_error text,
    traceparent text,
    tracestate text
);

create index deliveries_due on webhooks.deliveries (system, next_attempt_at) where status = 'pending';
create index deliveries_record on webhooks.deliveries (subscription_id, record, id) where status = 'pending';
