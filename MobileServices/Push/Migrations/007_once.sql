-- What our own push service has taken of our own sender for a device, whatever became of it there: acknowledged, replaced or gone, it is not taken a second time.
create table push.kept (
    message_id uuid not null,
    device_id uuid not null,
    -- As the ledger calls it.
    id text not null,
    -- Until when a second attempt may come.
    until timestamptz not null,
    primary key (message_id, device_id)
);

create index kept_until on push.kept (until);

-- The chunks of a message for one network follow one another: the one with a device, or after it, is the first that ends there.
create index chunk_order on push.chunk (message_id, network, last_device);
drop index push.chunk_message;

-- Which messages may have chunks, for those who look for later ones with their collapse key.
alter table push.message add column in_chunks boolean not null default false;
update push.message set in_chunks = true
where id in (select message_id from push.chunk union all select unnest(messages) from push.batch where matched_at is not null);
create index message_chunked on push.message (app_id, collapse_key, send_at, number) where in_chunks and finished_at is null and collapse_key is not null;
