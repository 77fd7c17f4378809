-- A delivery has a row in the ledger from when something is decided about it beside that it was matched. Until then it is one of a chunk: up to a batch of a
-- message's devices of one network, sorted, in one row. A claim puts them into the row of its batch, and what becomes of them is written once.
create table push.chunk (
    id bigint generated always as identity primary key,
    message_id uuid not null,
    network text not null,
    due_at timestamptz not null,
    matched_at timestamptz not null,
    size integer not null,
    first_device uuid not null,
    last_device uuid not null,
    devices uuid[] not null,
    -- Whom each is for, where the audience asks for more than devices.
    users text[]
);

create index chunk_due on push.chunk (network, due_at, id);
create index chunk_message on push.chunk (message_id);
create index chunk_devices on push.chunk (last_device, first_device);

-- Of a batch from chunks; one from the queue has rows in the ledger.
alter table push.batch add column network text, add column users text[], add column matched_at timestamptz[];

-- Up to which device the audience is in chunks.
alter table push.message add column resolved_to uuid;

alter table push.delivery rename to ledger;
alter index push.delivery_pkey rename to ledger_pkey;

-- Whether later messages ask for it by its device, as caps and collapse keys do; not known of what was there before.
alter table push.ledger add column tracked boolean, set (fillfactor = 85);
drop index push.delivery_device;
create index ledger_device on push.ledger (device_id) where tracked is not false;
create index queue_device on push.queue (device_id);

-- Every delivery, wherever it stands.
create view push.delivery as
select message_id, device_id, user_id, network, state, due_at, attempts, waits_for, network_id, changed, finished_at, delivered_at, opened_at, decisions from push.ledger
union all
select c.message_id, u.device_id, u.user_id, c.network, 'pending', c.due_at, 0, null, null, null, null, null, null, jsonb_build_array(jsonb_build_object('at', c.matched_at, 'what', 'matched'))
from push.chunk c, unnest(c.devices, c.users) u (device_id, user_id)
union all
select u.message_id, u.device_id, u.user_id, b.network, 'sending', u.matched_at, 1, null, null, null, null, null, null, jsonb_build_array(jsonb_build_object('at', u.matched_at, 'what', 'matched'))
from push.batch b, unnest(b.messages, b.devices, b.users, b.matched_at) u (message_id, device_id, user_id, matched_at)
where u.matched_at is not null and not exists (select from push.ledger l where l.message_id = u.message_id and l.device_id = u.device_id);
