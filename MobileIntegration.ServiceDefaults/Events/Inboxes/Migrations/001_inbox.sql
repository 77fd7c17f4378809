-- Events whose effect is in this database, each written in the transaction of its effect.
create table inbox.event (
    subscription text not null,
    event_id uuid not null,
    at timestamptz not null default now(),
    primary key (subscription, event_id)
);
create index event_at on inbox.event (at);
