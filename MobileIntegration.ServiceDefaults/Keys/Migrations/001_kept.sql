-- What an authority said of its keys when it was last asked, for processes that start while it is away. All of it is public; who may write here says whose tokens count.
create table authority.kept (
    authority text primary key,
    discovery text not null,
    keys text not null,
    fetched_at timestamptz not null
);
