create table identity.account (
    id uuid primary key,
    name text not null,
    display_name text not null,
    email text,
    password_hash text not null,
    stamp uuid not null,
    failed_count int not null default 0,
    locked_until timestamptz,
    disabled_at timestamptz,
    created_at timestamptz not null
);

create unique index account_name on identity.account (lower(name));

-- One P-256 key a row; the replicas share them. A key signs from use_from on, and is published from the moment it is here.
create table identity.signing_key (
    id text primary key,
    private_key bytea not null,
    use_from timestamptz not null,
    created_at timestamptz not null
);

-- The data protection keys behind the login cookie and the forms.
create table identity.cookie_key (
    id bigint generated always as identity primary key,
    xml text not null
);

-- The four tables of OpenIddict, as its Entity Framework Core model wants them.
create table identity.application (
    id uuid primary key,
    application_type varchar(50),
    client_id varchar(100),
    client_secret text,
    client_type varchar(50),
    concurrency_token varchar(50),
    consent_type varchar(50),
    display_name text,
    display_names text,
    json_web_key_set text,
    permissions text,
    post_logout_redirect_uris text,
    properties text,
    redirect_uris text,
    requirements text,
    settings text
);

create unique index application_client_id on identity.application (client_id);

create table identity.scope (
    id uuid primary key,
    concurrency_token varchar(50),
    description text,
    descriptions text,
    display_name text,
    display_names text,
    name varchar(200),
    properties text,
    resources text
);

create unique index scope_name on identity.scope (name);

create table identity."authorization" (
    id uuid primary key,
    application_id uuid references identity.application,
    concurrency_token varchar(50),
    creation_date timestamptz,
    properties text,
    scopes text,
    status varchar(50),
    subject varchar(400),
    type varchar(50)
);

create index authorization_application on identity."authorization" (application_id, status, subject, type);
create index authorization_subject on identity."authorization" (subject);

create table identity.token (
    id uuid primary key,
    application_id uuid references identity.application,
    authorization_id uuid references identity."authorization",
    concurrency_token varchar(50),
    creation_date timestamptz,
    expiration_date timestamptz,
    payload text,
    properties text,
    redemption_date timestamptz,
    reference_id varchar(100),
    status varchar(50),
    subject varchar(400),
    type varchar(150)
);

create index token_application on identity.token (application_id, status, subject, type);
create index token_authorization on identity.token (authorization_id);
create index token_subject on identity.token (subject);
create unique index token_reference on identity.token (reference_id);

-- What a refresh was answered, sealed with a key that only the holder of the redeemed token can derive.
create table identity.refresh_answer (
    predecessor_id uuid primary key references identity.token on delete cascade,
    successor_id uuid not null references identity.token on delete cascade,
    sealed bytea not null,
    answered_at timestamptz not null
);

create index refresh_answer_successor on identity.refresh_answer (successor_id);
create index refresh_answer_answered on identity.refresh_answer (answered_at);
