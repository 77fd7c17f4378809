create table erp.customers (
    customer_no int primary key,
    name text not null,
    street text not null,
    postal_code text not null,
    city text not null,
    country_code text not null
);

create table erp.articles (
    article_no text primary key,
    description text not null
);

create table erp.plants (
    plant text primary key
);

create sequence erp.order_numbers start with 4500020001;

create table erp.orders (
    order_no bigint primary key default nextval('erp.order_numbers'),
    customer_no int not null references erp.customers (customer_no),
    external_reference text unique,
    -- SHA-256 of the order as it was placed: the same reference again must bring the same order
    request_hash bytea,
    status text not null check (status in ('OPEN', 'PICKED', 'SHIPPED', 'DELIVERED', 'CANCELLED')),
    currency text not null,
    net_amount numeric(12, 2) not null,
    tax_amount numeric(12, 2) not null,
    gross_amount numeric(12, 2) not null,
    order_date timestamptz not null,
    changed_at timestamptz not null,
    revision int not null,
    plant text references erp.plants (plant),
    ship_name text not null,
    ship_street text not null,
    ship_postal_code text not null,
    ship_city text not null,
    ship_country_code text not null,
    carrier text,
    tracking_no text,
    cancel_reason text
);

create table erp.order_lines (
    order_no bigint not null references erp.orders (order_no),
    position int not null,
    article_no text not null,
    description text not null,
    quantity int not null,
    unit_price numeric(12, 2) not null,
    line_amount numeric(12, 2) not null,
    primary key (order_no, position)
);

create index orders_customer on erp.orders (customer_no, order_date desc);
create index orders_moving on erp.orders (order_no) where status in ('OPEN', 'PICKED', 'SHIPPED');
