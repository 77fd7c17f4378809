create table devices.device (
    id uuid primary key,
    app_id text not null,
    app_version text not null,
    platform text not null,
    os_version text not null,
    model text not null,
    locale text not null,
    time_zone text not null,
    registered_at timestamptz not null,
    last_seen_at timestamptz not null
);

create table devices.push_address (
    device_id uuid not null references devices.device on delete cascade,
    position int not null,
    network text not null,
    address text not null,
    primary key (device_id, position)
);
