create table crm.customers (
    customer_no int primary key,
    rev int not null,
    modified_at timestamptz not null,
    tier text not null,
    points int not null,
    member_since date not null,
    -- what the customer can change, in the form of the wire
    fields jsonb not null,
    -- name, e-mail and cities in lower case
    search text not null
);
