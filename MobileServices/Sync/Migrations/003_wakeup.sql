-- Changes that devices are not woken up for yet: since when, who made them (null when several did, or one that is not known), and the apps that they came from.
alter table sync.database add column wake_since timestamptz, add column wake_device uuid, add column wake_apps text[] not null default '{}';

create index database_wake on sync.database (wake_since) where wake_since is not null;

-- How far a device is in a database.
create table sync.device (
    db_id bigint not null references sync.database on delete cascade,
    device_id uuid not null,
    user_id text not null,
    -- As push knows the app; null when the device has not said.
    app_id text,
    -- It asked for what comes after that.
    asked_seq bigint,
    asked_at timestamptz,
    -- It has written down that it has all up to there.
    checkpoint_seq bigint,
    checkpoint_at timestamptz,
    seen_at timestamptz not null,
    primary key (db_id, device_id, user_id)
);

create index device_device on sync.device (device_id);
