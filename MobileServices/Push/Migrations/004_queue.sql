-- What waits to be sent, one row for each delivery that is pending, with its network and time. A claim takes rows out of here, so that the ledger's row can be
-- changed in place (HOT): no index of it holds anything that changes before a delivery ends, and afterwards nothing changes that one holds.
create table push.queue (
    message_id uuid not null,
    device_id uuid not null,
    network text not null,
    due_at timestamptz not null,
    primary key (message_id, device_id)
);

create index queue_due on push.queue (network, due_at);

-- What is in a batch, in the order of its places.
alter table push.batch add column messages uuid[] not null default '{}', add column devices uuid[] not null default '{}';

insert into push.queue (message_id, device_id, network, due_at) select message_id, device_id, network, due_at from push.delivery where state = 'pending';
update push.batch b set started = sending.started, messages = sending.messages, devices = sending.devices
from (
    select b.id, count(*) filter (where d.place <= b.started) as started, array_agg(d.message_id order by d.place) as messages, array_agg(d.device_id order by d.place) as devices
    from push.batch b join push.delivery d on d.batch_id = b.id and d.state = 'sending' group by b.id) sending
where b.id = sending.id;

drop index push.delivery_due;
drop index push.delivery_sending;
drop index push.delivery_unfinished;
-- Whoever adds deliveries holds the message, and only those without deliveries are removed: to look at it once more for each row costs as much as to write the row.
alter table push.delivery drop constraint delivery_message_id_fkey, drop column place, set (fillfactor = 30);
