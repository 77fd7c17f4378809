-- Receipts of our own push service (RFC 8030, sections 5.1 and 6.3): where a sender learns which of its messages devices have.
create table push.receipt_subscription (
    id text primary key,
    used_at timestamptz not null
);

alter table push.stored add column receipt_id text references push.receipt_subscription on delete set null;
create index stored_receipt on push.stored (receipt_id) where receipt_id is not null;
create index stored_receipt_age on push.stored (expires_at) where receipt_id is not null;

create table push.receipt (
    number bigint generated always as identity primary key,
    receipt_id text not null references push.receipt_subscription on delete cascade,
    message_id text not null,
    -- 204: the device has it; 410: it will not.
    status integer not null,
    created_at timestamptz not null
);

create index receipt_order on push.receipt (receipt_id, number);
create index receipt_age on push.receipt (created_at);
