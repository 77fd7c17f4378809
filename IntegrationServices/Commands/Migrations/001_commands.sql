create table commands.command (
    id uuid primary key,
    -- the order in which commands of one subject are worked on; writers of a subject stand in line until they commit
    number bigint generated always as identity,
    kind text not null,
    subject text not null,
    customer_id text not null,
    caller text not null,
    idempotency_key text not null,
    fingerprint bytea not null,
    body jsonb not null,
    status text not null default 'accepted' check (status in ('accepted', 'running', 'done', 'refused', 'dead', 'discarded')),
    -- the step that comes next
    step int not null default 0,
    -- what the command ends as once its steps are undone, from the one before step on; null while it goes forward
    undo_to text check (undo_to in ('refused', 'discarded')),
    -- what the steps found out
    state jsonb not null default '{}',
    -- failures of this step
    failures int not null default 0,
    problem jsonb,
    due_at timestamptz not null default now(),
    give_up_from timestamptz not null default now(),
    lease uuid,
    leased_until timestamptz,
    traceparent text,
    tracestate text,
    accepted_at timestamptz not null default now(),
    ended_at timestamptz,
    unique (caller, idempotency_key)
);

create index command_due on commands.command (due_at, number) where status in ('accepted', 'running');
create index command_subject on commands.command (subject, number) where status in ('accepted', 'running');
create index command_dead on commands.command (id) where status = 'dead';
create index command_ended on commands.command (ended_at) where ended_at is not null;

create table commands.history (
    command_id uuid not null references commands.command on delete cascade,
    number bigint generated always as identity,
    at timestamptz not null default clock_timestamp(),
    step text,
    outcome text not null,
    detail text,
    who text,
    primary key (command_id, number)
);

-- events that are promised to other services, written with the change they tell of
create table commands.outbox (
    id bigint generated always as identity primary key,
    type text not null,
    subject text not null,
    body jsonb not null,
    traceparent text,
    tracestate text,
    created_at timestamptz not null default now()
);
