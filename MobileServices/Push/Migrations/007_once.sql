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
