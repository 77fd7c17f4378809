-- Databases of users that are bound to a back-office system: whose they are there.
create table sync.bound (
    db_id bigint primary key references sync.database on delete cascade,
    source text not null,
    customer_id text not null,
    opened_at timestamptz not null default now()
);

create index bound_customer on sync.bound (customer_id);

-- What the back office said last of the record that a document shows.
create table sync.bound_document (
    db_id bigint not null references sync.bound on delete cascade,
    doc_id text collate "C" not null,
    order_id text collate "C" not null,
    -- The back office's own; null until it was read.
    version bigint,
    body text,
    -- Why the latest change of a client was refused, until one is done or the client takes it out.
    problem text,
    primary key (db_id, doc_id),
    unique (db_id, order_id)
);

-- Changes of clients on their way to the back office, written with the revision.
create table sync.bound_change (
    id bigint generated always as identity primary key,
    db_id bigint not null references sync.bound on delete cascade,
    doc_id text collate "C" not null,
    rev text collate "C" not null,
    deleted boolean not null,
    body text not null,
    -- The body that the client changed; null when there was none.
    base text,
    -- It asks for a cancellation: documents show so until it is answered.
    cancels boolean not null,
    -- waiting, sent (integration has it), done, refused
    state text not null default 'waiting',
    command_id uuid,
    -- How often it was taken in hand, and how often it failed since it last got on.
    attempts int not null default 0,
    failures int not null default 0,
    replays int not null default 0,
    due_at timestamptz not null default now(),
    reason text,
    created_at timestamptz not null default now(),
    ended_at timestamptz
);

create index bound_change_due on sync.bound_change (due_at) where state in ('waiting', 'sent');
create index bound_change_document on sync.bound_change (db_id, doc_id, id);
create index bound_change_command on sync.bound_change (command_id) where command_id is not null;
create index bound_change_state on sync.bound_change (state, id);

-- What is to be read from the back office; the order '' is the list of all.
create table sync.bound_read (
    db_id bigint not null references sync.bound on delete cascade,
    order_id text collate "C" not null,
    -- At least this version; null for any.
    wanted bigint,
    attempts int not null default 0,
    failures int not null default 0,
    due_at timestamptz not null default now(),
    reason text,
    primary key (db_id, order_id)
);

create index bound_read_due on sync.bound_read (due_at);
