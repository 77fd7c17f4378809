create table analytics.app (
    id int generated always as identity primary key,
    app_id text not null unique,
    name text not null,
    -- How long its events and what is known of single people are kept; null for the setting's.
    retention_days int,
    created_at timestamptz not null
);

-- Write keys are kept as their SHA-256 alone.
create table analytics.write_key (
    id uuid primary key,
    app int not null references analytics.app (id) on delete cascade,
    hash bytea not null unique,
    name text not null,
    created_at timestamptz not null,
    created_by text not null,
    revoked_at timestamptz
);

-- One row is one transaction of the ingest: it is here until its events are in the numbers.
create table analytics.batch (
    id bigint generated always as identity primary key,
    events int not null,
    first_day date not null,
    last_day date not null
);

-- Partitions are made by the ingest when the first event of a day comes, and dropped by age.
create table analytics.event (
    at timestamptz not null,
    received_at timestamptz not null,
    batch_id bigint not null,
    message_id uuid not null,
    app int not null,
    type smallint not null,
    anonymous_id text,
    user_id text,
    name text,
    version text,
    platform text,
    os_version text,
    model text,
    locale text,
    network text,
    properties jsonb
) partition by range (at);

create index event_batch on analytics.event (batch_id);

-- Every message that was counted, whenever it happened and however often it comes: the only thing that decides what a duplicate is.
create table analytics.seen (
    app int not null,
    message_id uuid not null,
    received_on date not null,
    primary key (app, message_id)
);

create index seen_received on analytics.seen using brin (received_on);

create table analytics.dropped (
    app int not null,
    day date not null,
    reason text not null,
    events bigint not null,
    primary key (app, day, reason)
);

-- Whoever is counted: an installation (anonymousId), or a user where there is no installation.
create table analytics.person (
    id bigint generated always as identity primary key,
    app int not null,
    key text not null,
    first_day date not null,
    unique (app, key)
);

-- Which users were seen on which installations.
create table analytics.person_user (
    app int not null,
    user_id text not null,
    person_id bigint not null,
    primary key (app, user_id, person_id)
);

create index person_user_person on analytics.person_user (person_id);

-- Kinds: 1 event, 2 screen, 3 version, 4 platform, 5 OS version, 6 model, 7 locale, 8 network, 9 security check.
create table analytics.value (
    id int generated always as identity primary key,
    app int not null,
    kind smallint not null,
    value text not null,
    unique (app, kind, value)
);

-- What a person did on a day. Of events and screens also when: milliseconds of the day in UTC, the first thousand of them.
create table analytics.daily (
    app int not null,
    day date not null,
    value_id int not null,
    person_id bigint not null,
    events int not null,
    times int[],
    -- Tells a row that was just made from one that was there: xmax cannot be asked for in partitioned tables.
    made_in xid8 not null default pg_current_xact_id(),
    primary key (app, day, value_id, person_id)
) partition by range (day);

-- The same for everybody together.
create table analytics.daily_total (
    app int not null,
    day date not null,
    value_id int not null,
    events bigint not null,
    people bigint not null,
    primary key (app, value_id, day)
);

-- Funnels that are asked often, by the names of their steps, and what they come to by the day on which they were entered. A day that is not here is counted when it
-- is asked for: new events of a step take away the days that they may change.
create table analytics.funnel (
    id int generated always as identity primary key,
    app int not null references analytics.app (id) on delete cascade,
    name text not null,
    steps text[] not null,
    within_hours int not null,
    unique (app, name)
);

create table analytics.funnel_day (
    funnel_id int not null references analytics.funnel (id) on delete cascade,
    day date not null,
    people bigint[] not null,
    primary key (funnel_id, day)
);

-- In which days (grain 0), weeks (1, from Monday) and months (2) a person was active.
create table analytics.person_period (
    person_id bigint not null,
    grain smallint not null,
    starts_on date not null,
    app int not null,
    primary key (person_id, grain, starts_on)
);

create table analytics.active (
    app int not null,
    grain smallint not null,
    starts_on date not null,
    people bigint not null,
    events bigint not null,
    primary key (app, grain, starts_on)
);

-- How many of those who came first in one period were there in another.
create table analytics.cohort (
    app int not null,
    grain smallint not null,
    first_on date not null,
    starts_on date not null,
    people bigint not null,
    primary key (app, grain, first_on, starts_on)
);

create table analytics.session (
    person_id bigint not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    app int not null,
    events int not null,
    primary key (person_id, started_at)
);

-- By the day on which they started.
create table analytics.session_total (
    app int not null,
    day date not null,
    sessions bigint not null,
    milliseconds bigint not null,
    primary key (app, day)
);

-- What other services did for a user, and orders: the steps of the journey.
create table analytics.outcome (
    step smallint not null,
    reference text not null,
    user_id text not null,
    at timestamptz not null,
    primary key (step, reference)
);

create index outcome_at on analytics.outcome (step, at);
create index outcome_user on analytics.outcome (user_id, step, at);

create table analytics.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    who text not null,
    app_id text not null,
    action text not null,
    detail text not null
);

-- The first day of the period that a day is in.
create function analytics.period_of(grain smallint, day date) returns date language sql immutable as $$
    select case grain when 0 then day when 1 then date_trunc('week', day::timestamp)::date else date_trunc('month', day::timestamp)::date end
$$;

-- Makes the partitions of a day beside the readers: attaching takes no lock that they would wait for.
create function analytics.make_partitions(day date) returns void language plpgsql as $$
declare
    suffix text := to_char(day, 'YYYYMMDD');
begin
    perform pg_advisory_xact_lock(hashtextextended('analytics:partitions', 0));
    if to_regclass('analytics.event_' || suffix) is null then
        execute format('create table analytics.%I (like analytics.event including all)', 'event_' || suffix);
        execute format('alter table analytics.event attach partition analytics.%I for values from (%L) to (%L)',
            'event_' || suffix, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
        execute format('create table analytics.%I (like analytics.daily including all)', 'daily_' || suffix);
        execute format('alter table analytics.daily attach partition analytics.%I for values from (%L) to (%L)', 'daily_' || suffix, day, day + 1);
    end if;
end $$;
