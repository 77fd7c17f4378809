create table pim.categories (
    code text primary key,
    name text not null,
    name_de text not null,
    department text not null,
    sort_order int not null
);

create table pim.products (
    sku text primary key,
    name text not null,
    name_de text not null,
    description text not null,
    brand text not null,
    category_code text not null references pim.categories (code),
    list_price numeric(12, 2) not null,
    sale_price numeric(12, 2),
    currency text not null,
    ean text not null,
    colour text not null,
    size text,
    weight_grams int not null,
    image_url text not null,
    active boolean not null,
    launched_on date not null,
    revision int not null,
    last_modified timestamptz not null,
    -- what $search looks in, in lower case
    search text not null generated always as (lower(name || ' ' || name_de || ' ' || brand || ' ' || description)) stored
);

create index products_category on pim.products (category_code, sku);
create index products_modified on pim.products (last_modified, sku);
