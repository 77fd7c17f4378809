-- An old system's tables: short names, codes for words, whole numbers for dates. Others read the views at the end and never these.

create sequence wms.chg;
create sequence wms.mv_nos;

create table wms.whs_t (
    whs_cd varchar(3) primary key,
    whs_nm varchar(40) not null,
    adr varchar(60) not null,
    zip varchar(10) not null,
    city varchar(40) not null,
    ctry char(2) not null,
    lat numeric(9, 6) not null,
    lon numeric(9, 6) not null,
    opn_tm char(4) not null,
    cls_tm char(4) not null,
    act char(1) not null,
    chg_no bigint not null
);

create table wms.art_bal_t (
    whs_cd varchar(3) not null references wms.whs_t (whs_cd),
    art_no varchar(6) not null,
    qty_oh int not null check (qty_oh >= 0),
    qty_rsv int not null check (qty_rsv >= 0),
    qty_ord int not null,
    loc_cd varchar(8) not null,
    st_cd char(1) not null check (st_cd in ('A', 'B')),
    lst_mv_dt int not null,
    chg_no bigint not null,
    primary key (whs_cd, art_no)
);
create index art_bal_art on wms.art_bal_t (art_no);
create index art_bal_chg on wms.art_bal_t (chg_no);

create table wms.mvmt_t (
    mv_no bigint primary key,
    mv_dt int not null,
    mv_tm int not null,
    whs_cd varchar(3) not null,
    art_no varchar(6) not null,
    mv_tp char(2) not null check (mv_tp in ('GR', 'GI', 'AD', 'RS', 'RL')),
    qty int not null,
    ref varchar(60) not null,
    -- the balance after the movement, for the webhooks
    qty_oh int not null,
    qty_rsv int not null,
    chg_no bigint not null
);

create table wms.rsv_t (
    ref varchar(60) not null,
    whs_cd varchar(3) not null,
    art_no varchar(6) not null,
    qty int not null,
    st_cd char(1) not null check (st_cd in ('O', 'X')),
    crt_dt int not null,
    chg_no bigint not null,
    primary key (ref, whs_cd, art_no)
);
create index rsv_chg on wms.rsv_t (chg_no);

-- how far the movements have been told of: by webhook, by file
create table wms.exp_t (
    one boolean primary key default true check (one),
    hook_mv_no bigint not null default 0,
    drop_mv_no bigint not null default 0
);
insert into wms.exp_t default values;

-- files of the drop folder: P promised, W written
create table wms.drp_t (
    fst_mv_no bigint primary key,
    lst_mv_no bigint not null,
    fil_nm varchar(60) not null,
    st_cd char(1) not null check (st_cd in ('P', 'W'))
);

-- the fault switch
create table wms.flt_t (
    one boolean primary key default true check (one),
    lat_ms int not null default 0,
    jit_ms int not null default 0,
    err_rt double precision not null default 0,
    out_fl char(1) not null default 'N'
);
insert into wms.flt_t default values;

-- Everybody else's statements pass here, so this is where the Wms fails when it is told to.
create function wms.gate() returns boolean language plpgsql volatile as $gate$
declare
    f wms.flt_t;
begin
    if current_setting('application_name') = 'backoffice' then
        return true;
    end if;
    select * into f from wms.flt_t;
    if f.out_fl = 'Y' then
        raise exception using errcode = '57P03', message = 'the Wms is shut down (PUT /wms/faults)';
    end if;
    if f.lat_ms > 0 or f.jit_ms > 0 then
        perform pg_sleep((f.lat_ms + random() * f.jit_ms) / 1000);
    end if;
    if f.err_rt > 0 and random() < f.err_rt then
        raise exception using errcode = '53300', message = 'the Wms fails because it was told to (PUT /wms/faults)';
    end if;
    return true;
end
$gate$;

-- Puts writers in line until they commit: chg_no and mv_no become visible in their order.
create function wms.mv_line() returns void language sql volatile as $line$
    select pg_advisory_xact_lock(hashtext('wms.mv_line'));
$line$;

-- Books a movement; call mv_line first. GR, GI and AD change what is on hand, RS and RL what is reserved.
create function wms.mv_book(p_whs_cd text, p_art_no text, p_mv_tp text, p_qty int, p_ref text) returns bigint language plpgsql volatile as $book$
declare
    b wms.art_bal_t;
    v_now timestamp := clock_timestamp() at time zone 'UTC';
    v_mv_no bigint := nextval('wms.mv_nos');
    v_chg_no bigint := nextval('wms.chg');
begin
    update wms.art_bal_t
    set qty_oh = qty_oh + case when p_mv_tp in ('GR', 'GI', 'AD') then p_qty else 0 end,
        qty_rsv = qty_rsv + case when p_mv_tp in ('RS', 'RL') then p_qty else 0 end,
        lst_mv_dt = to_char(v_now, 'YYYYMMDD')::int,
        chg_no = v_chg_no
    where whs_cd = p_whs_cd and art_no = p_art_no
    returning * into strict b;
    insert into wms.mvmt_t (mv_no, mv_dt, mv_tm, whs_cd, art_no, mv_tp, qty, ref, qty_oh, qty_rsv, chg_no)
    values (v_mv_no, to_char(v_now, 'YYYYMMDD')::int, to_char(v_now, 'HH24MISS')::int, p_whs_cd, p_art_no, p_mv_tp, p_qty, p_ref,
        b.qty_oh, b.qty_rsv, v_chg_no);
    perform pg_notify('wms_mvmt', '');
    return v_mv_no;
end
$book$;

create function wms.rsv_add(p_ref text, p_whs_cd text, p_art_no text, p_qty int) returns text language plpgsql volatile as $add$
declare
    r wms.rsv_t;
    b wms.art_bal_t;
begin
    perform wms.gate();
    if p_qty is null or p_qty not between 1 and 9999 then
        return 'QT';
    end if;
    if p_ref is null or length(p_ref) not between 1 and 60 then
        return 'RF';
    end if;
    perform wms.mv_line();
    select * into r from wms.rsv_t where ref = p_ref and whs_cd = p_whs_cd and art_no = p_art_no;
    if found then
        return case when r.st_cd = 'O' and r.qty = p_qty then 'OK' else 'RU' end;
    end if;
    select * into b from wms.art_bal_t where whs_cd = p_whs_cd and art_no = p_art_no;
    if not found then
        return 'NA';
    end if;
    if b.st_cd <> 'A' or b.qty_oh - b.qty_rsv < p_qty then
        return 'NS';
    end if;
    insert into wms.rsv_t (ref, whs_cd, art_no, qty, st_cd, crt_dt, chg_no)
    values (p_ref, p_whs_cd, p_art_no, p_qty, 'O', to_char(now() at time zone 'UTC', 'YYYYMMDD')::int, nextval('wms.chg'));
    perform wms.mv_book(p_whs_cd, p_art_no, 'RS', p_qty, p_ref);
    return 'OK';
end
$add$;

create function wms.rsv_rel(p_ref text) returns int language plpgsql volatile as $rel$
declare
    r wms.rsv_t;
    v_lines int := 0;
begin
    perform wms.gate();
    perform wms.mv_line();
    for r in select * from wms.rsv_t where ref = p_ref and st_cd = 'O' order by whs_cd, art_no for update loop
        update wms.rsv_t set st_cd = 'X', chg_no = nextval('wms.chg') where ref = r.ref and whs_cd = r.whs_cd and art_no = r.art_no;
        perform wms.mv_book(r.whs_cd, r.art_no, 'RL', -r.qty, p_ref);
        v_lines := v_lines + 1;
    end loop;
    return v_lines;
end
$rel$;

create view wms.whs as
    select t.whs_cd, t.whs_nm, t.adr, t.zip, t.city, t.ctry, t.lat, t.lon, t.opn_tm, t.cls_tm, t.act, t.chg_no
    from wms.gate() g cross join wms.whs_t t;

create view wms.art_bal as
    select t.whs_cd, t.art_no, t.qty_oh, t.qty_rsv, t.qty_ord, t.loc_cd, t.st_cd, t.lst_mv_dt, t.chg_no
    from wms.gate() g cross join wms.art_bal_t t;

create view wms.mvmt as
    select t.mv_no, t.mv_dt, t.mv_tm, t.whs_cd, t.art_no, t.mv_tp, t.qty, t.ref, t.chg_no
    from wms.gate() g cross join wms.mvmt_t t;

create view wms.rsv as
    select t.ref, t.whs_cd, t.art_no, t.qty, t.st_cd, t.crt_dt, t.chg_no
    from wms.gate() g cross join wms.rsv_t t;
