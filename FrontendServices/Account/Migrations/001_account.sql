-- what the back office has no place for
create table account.preferences (
    customer_id text primary key,
    language text,
    theme text not null,
    order_news boolean not null,
    offers boolean not null,
    revision int not null,
    changed_at timestamptz not null
);

-- every consent that was given or withdrawn, for ever: the last of a purpose counts, the others prove what was agreed to when
create table account.consents (
    number bigint generated always as identity primary key,
    customer_id text not null,
    purpose text not null,
    granted boolean not null,
    text_version text not null,
    client_id text,
    at timestamptz not null
);

create index consents_of on account.consents (customer_id, purpose, number desc);
