-- messages of queues that were taken and had an id; the same message again has no effect
create table changes.message (
    system text not null,
    message_id text not null,
    received_at timestamptz not null default now(),
    primary key (system, message_id)
);
create index message_received on changes.message (received_at);

alter table changes.set_aside drop constraint set_aside_source_check;
alter table changes.set_aside add constraint set_aside_source_check check (source in ('webhook', 'message', 'poll', 'line', 'file'));
