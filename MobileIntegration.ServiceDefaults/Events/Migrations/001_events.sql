-- The newest version of every subject. Publishers of one subject stand in line at its row until they commit.
create table events.subject (
    subject text primary key,
    version bigint not null
);

create table events.event (
    -- the order of telling, within a subject also that of the commits
    number bigint generated always as identity primary key,
    id uuid not null unique default gen_random_uuid(),
    type text not null,
    subject text not null,
    version bigint not null,
    occurred_at timestamptz not null,
    data jsonb not null,
    traceparent text,
    tracestate text,
    told_at timestamptz not null default clock_timestamp()
);
create index event_told on events.event (told_at);

create table events.subscription (
    name text primary key,
    types text[] not null,
    created_at timestamptz not null default now()
);

-- what a subscription has not had yet, and what it could not take
create table events.delivery (
    subscription text not null references events.subscription on delete cascade,
    number bigint not null references events.event,
    subject text not null,
    status text not null default 'due' check (status in ('due', 'dead')),
    failures int not null default 0,
    reason text,
    due_at timestamptz not null default now(),
    give_up_from timestamptz not null default now(),
    primary key (subscription, number)
);
create index delivery_due on events.delivery (subscription, due_at, number) where status = 'due';
create index delivery_subject on events.delivery (subscription, subject, number) where status = 'due';
create index delivery_dead on events.delivery (number) where status = 'dead';
create index delivery_number on events.delivery (number);

-- dead letters, and what operators did with them
create table events.history (
    id bigint generated always as identity primary key,
    subscription text not null,
    event_id uuid not null,
    at timestamptz not null default clock_timestamp(),
    outcome text not null check (outcome in ('dead', 'replayed', 'discarded')),
    detail text,
    who text
);
create index history_event on events.history (event_id, subscription);

-- Tells an event in the transaction of the change. Null, and nothing told, when the subject is at that version or a newer one already.
-- Without a version it gets the next one. A transaction that tells of several subjects does so in the order of their names.
create function events.publish(
    p_type text, p_subject text, p_version bigint, p_occurred_at timestamptz, p_data jsonb, p_traceparent text, p_tracestate text)
returns uuid language plpgsql volatile as $publish$
declare
    v_version bigint;
    v_number bigint;
    v_id uuid;
begin
    insert into events.subject as s (subject, version) values (p_subject, coalesce(p_version, 1))
    on conflict (subject) do update set version = coalesce(p_version, s.version + 1)
    where p_version is null or s.version < p_version
    returning version into v_version;
    if not found then
        return null;
    end if;
    insert into events.event (type, subject, version, occurred_at, data, traceparent, tracestate)
    values (p_type, p_subject, v_version, p_occurred_at, p_data, p_traceparent, p_tracestate)
    returning number, id into v_number, v_id;
    insert into events.delivery (subscription, number, subject)
    select s.name, v_number, p_subject from events.subscription s where p_type = any(s.types);
    perform pg_notify('events', p_type || ' ' || p_subject);
    return v_id;
end
$publish$;
