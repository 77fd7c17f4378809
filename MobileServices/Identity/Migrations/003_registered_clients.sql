-- Of the settings that the clients were last made from: hashed as passwords are, for they hold the clients' secrets.
create table identity.registered_clients (
    single boolean primary key default true check (single),
    hash text not null
);
