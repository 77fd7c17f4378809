// Replicates with PouchDB, unmodified: both ways, live, with conflicts, attachments and deletions.
// Usage: node pouchdb.mjs [adapter:]<scenario> <address of the gateway> <access token> [seed] [operations]; prints a line of JSON, fails with a message otherwise.
// The adapter of what is kept on the device is memory or leveldb.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(import.meta.url);
const PouchDB = require("pouchdb-core").plugin(require("pouchdb-adapter-memory")).plugin(require("pouchdb-adapter-leveldb")).plugin(require("pouchdb-adapter-http")).plugin(require("pouchdb-replication"))
  .plugin(require("pouchdb-find")).plugin(require("pouchdb-mapreduce"));
const [asked, address, token, seed, operations] = process.argv.slice(2);
const [scenario, adapter = "memory"] = asked.split(":").reverse();
const folder = mkdtempSync(join(tmpdir(), "pouchdb-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const base = `${address.replace(/\/$/, "")}/sync`;
let local = 0;
const peer = () => new PouchDB(join(folder, `${local++}`), { adapter });
const remote = (name, { headers = {}, answered = () => {}, unanswered = () => {} } = {}) => new PouchDB(`${base}/${name}`, {
  adapter: "http",
  fetch: async (url, options) => {
    options.headers.set("Authorization", `Bearer ${token}`);
    Object.entries(headers).forEach(([header, value]) => options.headers.set(header, value));
    const response = await PouchDB.fetch(url, options).catch((error) => { unanswered(error); throw error; });
    await answered(url, options, response);
    return response;
  },
});

/** All documents with all their leaves and what is remembered of their past, as a peer has them. */
async function state(db) {
  const changes = await db.changes({ style: "all_docs", since: 0 });
  const all = {};
  for (const { id, changes: leaves } of changes.results) {
    const docs = await db.get(id, { open_revs: leaves.map((leaf) => leaf.rev), revs: true });
    all[id] = Object.fromEntries(docs.map(({ ok }) => [ok._rev, {
      ...ok,
      _attachments: Object.fromEntries(Object.entries(ok._attachments ?? {}).map(([name, { digest, content_type }]) => [name, { digest, content_type }])),
    }]).sort(([one], [other]) => (one < other ? -1 : 1)));
    const winner = await db.get(id, { conflicts: true }).catch((error) => ({ missing: error.reason }));
    all[id].winner = winner._rev ?? winner.missing;
  }
  return Object.fromEntries(Object.entries(all).sort(([one], [other]) => (one < other ? -1 : 1)));
}

const until = async (condition, what) => {
  for (const end = Date.now() + 60_000; !(await condition());) {
    assert.ok(Date.now() < end, `It did not become true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

const scenarios = {
  /** Pulls 250 documents to one device and pushes 10 from it; the device is the argument. */
  async device() {
    const server = remote("notes", { headers: { "X-Device-Id": seed, "X-App-Id": "com.example.shop", "X-App-Version": "1.0.0", "X-App-Platform": "android" } });
    await remote("notes").bulkDocs(Array.from({ length: 250 }, (_, n) => ({ _id: `note-${n}` })));
    const phone = peer();
    await phone.replicate.from(server);
    await phone.bulkDocs(Array.from({ length: 10 }, (_, n) => ({ _id: `mine-${n}` })));
    await phone.replicate.to(server);
    const { last_seq } = await phone.replicate.from(server);
    return { last_seq };
  },

  /** A client that is behind the horizon: the argument is a replica that keeps tombstones no longer than it must. */
  async behind() {
    const server = remote("notes");
    await server.bulkDocs(["a", "b", "c", "d", "e"].map((_id) => ({ _id })));
    const phone = peer();
    await phone.replicate.from(server);
    await server.remove(await server.get("a"));
    await server.put({ ...(await server.get("b")), changed: true });
    await server.remove(await server.get("c"));
    assert.equal((await fetch(`${base}/notes/_compact`, { method: "POST", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" } })).status, 202);
    await phone.put({ _id: "mine" });

    // It stops and says so, also when it is told to try again for ever.
    const failed = (replication) => new Promise((resolve, reject) => {
      replication.on("error", resolve).on("complete", () => reject(new Error("It was not told."))).catch(() => {});
      setTimeout(() => reject(new Error("It says nothing.")), 30_000).unref();
    });
    for (const given of [{}, { retry: true }, { live: true, retry: true }]) {
      const error = await failed(phone.replicate.from(server, given));
      assert.deepEqual([error.status, error.name], [410, "forbidden"]);
      assert.match(error.reason ?? error.message, /^resync_required: /);
    }
    const error = await failed(phone.sync(server, { live: true, retry: true }));
    assert.equal(error.status, 410);

    // What it has changed goes up first, and nothing of what was deleted, although it has never pushed before; then it begins anew, in pages that end below the horizon.
    await phone.replicate.to(server);
    assert.equal(await server.get("a").catch((gone) => gone.status), 404);
    await phone.destroy();
    const again = peer();
    assert.equal((await again.replicate.from(server, { batch_size: 1 })).docs_written, 4);
    assert.deepEqual(await state(again), await state(server));
    assert.equal((await again.replicate.from(server)).docs_read, 0);
    return { documents: (await again.allDocs()).rows.map(({ id }) => id) };
  },

  /** A new device: no deletion of what it never had comes over, one of what it has does. */
  async fresh() {
    const server = remote("notes");
    await server.bulkDocs(Array.from({ length: 300 }, (_, n) => ({ _id: `note-${n}`, ...(n % 10 && { _deleted: true }) })));
    const phone = peer();
    let asked = 0;
    const starting = new PouchDB(`${base}/notes`, {
      adapter: "http",
      fetch: async (url, options) => {
        options.headers.set("Authorization", `Bearer ${token}`);
        const address = new URL(url);
        if (address.pathname.endsWith("/_changes")) {
          if ((await phone.info()).update_seq === 0) {
            address.searchParams.set("fresh", "true");
          }
          if (++asked === 2) {
            // In the middle of its first pull.
            await server.remove(await server.get("note-0"));
            await server.put({ ...(await server.get("note-290")), changed: true });
          }
        }
        return PouchDB.fetch(address.href, options);
      },
    });
    const pulled = await phone.replicate.from(starting, { batch_size: 5 });
    assert.ok(pulled.docs_read < 40, `${pulled.docs_read} were read`);
    const { docs_read } = await phone.replicate.from(starting, { batch_size: 5 });
    assert.ok(docs_read < 5, `${docs_read} were read again`);
    assert.deepEqual((await phone.allDocs()).rows.map(({ id, value }) => [id, value.rev]), (await server.allDocs()).rows.map(({ id, value }) => [id, value.rev]));
    return { documents: (await phone.allDocs()).rows.length };
  },

  async replicate() {
    const [one, two] = [peer(), peer()];
    const server = remote("notes");
    await one.bulkDocs(Array.from({ length: 230 }, (_, n) => ({ _id: `note-${n}`, n, text: "Grüße ✓".repeat(n % 7), nested: { list: [1, 2.5, null, true, "x/y"] } })));
    await one.put({ _id: "with/slash and space?", a: 1 });
    await one.put({ _id: "photo", _attachments: { "a b.txt": { content_type: "text/plain", data: Buffer.from("hello").toString("base64") }, "p.bin": { content_type: "image/png", data: Buffer.alloc(300_000, 7).toString("base64") } } });
    await one.remove(await one.get("note-3"));
    const pushed = await one.replicate.to(server);
    assert.deepEqual([pushed.ok, pushed.docs_written, pushed.doc_write_failures], [true, 232, 0]);
    const pulled = await two.replicate.from(server);
    assert.deepEqual([pulled.ok, pulled.docs_written, pulled.doc_write_failures], [true, 232, 0]);
    assert.deepEqual(await state(two), await state(one));
    assert.equal((await two.getAttachment("photo", "p.bin")).length, 300_000);

    // Checkpoints: nothing is read twice.
    assert.equal((await one.replicate.to(server)).docs_read, 0);
    assert.equal((await two.replicate.from(server)).docs_read, 0);

    // The same document on both, and each wins or loses alike everywhere.
    for (const [db, text] of [[one, "one"], [two, "two"]]) {
      await db.put({ ...(await db.get("note-1")), text });
      await db.put({ ...(await db.get("note-2")), text });
    }
    await two.remove(await two.get("note-2"));
    await one.put({ ...(await one.get("photo")), more: true });
    await one.sync(server);
    await two.sync(server);
    await one.sync(server);
    const all = await state(one);
    assert.deepEqual(await state(two), all);
    assert.deepEqual(await state(server), all);
    assert.equal((await server.get("note-1", { conflicts: true }))._conflicts.length, 1);
    assert.equal((await server.get("note-2")).text, "one");
    const info = await server.info();
    assert.deepEqual([info.db_name, info.doc_count], ["notes", 231]);
    return { documents: Object.keys(all).length };
  },

  /** What was put in gzip (the argument) is unpacked on its way here; what is edited here goes back as it is. The other argument is the hash of the content. */
  async gzip() {
    const server = remote("gzip");
    const put = (path, body, headers) => fetch(`${base}/gzip/${path}`, { method: "PUT", body, headers: { Authorization: `Bearer ${token}`, ...headers } });
    assert.equal((await put("doc/log", Buffer.from(seed, "base64"), { "Content-Type": "text/plain", "Content-Encoding": "gzip" })).status, 201);
    const [one, two] = [peer(), peer()];
    await one.replicate.from(server);
    const hash = (content) => createHash("sha256").update(content).digest("base64");
    assert.equal(hash(await one.getAttachment("doc", "log")), operations);
    await one.put({ ...(await one.get("doc")), edited: true });
    assert.equal((await one.replicate.to(server)).doc_write_failures, 0);
    await two.replicate.from(server);
    assert.equal((await two.get("doc")).edited, true);
    assert.equal(hash(await two.getAttachment("doc", "log")), operations);
    assert.equal(hash(await server.getAttachment("doc", "log")), operations);
    return { documents: (await two.allDocs()).rows.length };
  },

  async live() {
    const [one, two] = [peer(), peer()];
    const server = remote("live");
    const syncs = [one, two].map((db) => db.sync(server, { live: true, retry: true }));
    const has = (db, id) => db.get(id).then(() => true, () => false);
    for (let n = 0; n < 5; n++) {
      await one.put({ _id: `one-${n}`, n });
      await until(() => has(two, `one-${n}`), `one-${n} on two`);
      await two.put({ _id: `two-${n}`, n });
      await until(() => has(one, `two-${n}`), `two-${n} on one`);
    }
    await one.remove(await one.get("two-0"));
    await until(async () => !(await has(two, "two-0")), "the deletion on two");
    const seen = [];
    const feed = server.changes({ live: true, since: "now", include_docs: true, doc_ids: ["mine"] }).on("change", (change) => seen.push(change.doc));
    await until(async () => {
      await one.put({ _id: "other" }).catch(() => {});
      await one.get("mine").then((doc) => one.put(doc), () => one.put({ _id: "mine", mine: true }));
      return seen.length > 0;
    }, "the feed of one document");
    assert.ok(seen.every((doc) => doc._id === "mine"));
    feed.cancel();
    await until(async () => JSON.stringify(await state(one)) === JSON.stringify(await state(two)), "both are the same");
    syncs.forEach((sync) => sync.cancel());
    return { documents: Object.keys(await state(one)).length };
  },

  /** Two peers that replicate live write in turns, each edit when the one before has come over, while the server is restarted. */
  async restarted() {
    let failed = 0;
    const server = remote("restarted", { unanswered: () => failed++ });
    // Of a request that breaks off, this client leaves a promise of its own behind besides the one that it answers.
    process.on("unhandledRejection", (error) => assert.match(error.message, /ECONN|socket/));
    const [one, two] = [peer(), peer()];
    const syncs = [one, two].map((db) => db.sync(server, { live: true, retry: true, heartbeat: 1000, back_off_function: () => 100 })
      .on("error", (error) => { console.error(error); process.exit(1); }));
    const has = (db, id) => db.get(id).then(() => true, () => false);
    for (let n = 0; n < Number(operations); n++) {
      await Promise.all([one.put({ _id: `one-${n}`, n }), two.put({ _id: `two-${n}`, n })]);
      await until(async () => (await has(two, `one-${n}`)) && (await has(one, `two-${n}`)), `edit ${n} on both`);
    }
    await until(async () => (await server.allDocs()).rows.length === 2 * Number(operations), "all on the server");
    syncs.forEach((sync) => sync.cancel());
    const all = await state(one);
    assert.deepEqual(await state(two), all);
    assert.deepEqual(await state(server), all);
    return { documents: Object.keys(all).length, failed };
  },

  async filtered() {
    const [one, two] = [peer(), peer()];
    const server = remote("filtered");
    await server.put({
      _id: "_design/app",
      filters: { even: "function (doc, req) { return doc.n % 2 === 0 && doc.n < Number(req.query.below); }" },
      validate_doc_update: "function (doc) { if (doc.n < 0) { throw({ forbidden: 'negative' }); } }",
    });
    await one.bulkDocs(Array.from({ length: 40 }, (_, n) => ({ _id: `d${n}`, n: n - 1 })));
    const denied = [];
    const pushed = await one.replicate.to(server).on("denied", (error) => denied.push(error));
    assert.deepEqual([pushed.docs_written, pushed.doc_write_failures, denied.length], [39, 1, 1]);
    const pulled = await two.replicate.from(server, { filter: "app/even", query_params: { below: 10 } });
    assert.deepEqual([pulled.ok, pulled.docs_written], [true, 5]);
    const all = await two.allDocs({ include_docs: true });
    assert.deepEqual(all.rows.map((row) => row.doc.n).sort(), [0, 2, 4, 6, 8]);
    return { documents: all.rows.length };
  },

  /** The same indexes and queries here and on a peer of its own. */
  async find() {
    const [one, server] = [peer(), remote("find")];
    await one.bulkDocs(Array.from({ length: 60 }, (_, n) => ({ _id: `d${String(n).padStart(2, "0")}`, n, kind: ["tea", "coffee", "milk"][n % 3], at: { shop: `s${n % 5}` } })));
    await one.replicate.to(server);
    for (const db of [one, server]) {
      assert.equal((await db.createIndex({ index: { fields: ["kind", "n"], name: "kind-n", ddoc: "shop" } })).result, "created");
      assert.equal((await db.createIndex({ index: { fields: ["kind", "n"], name: "kind-n", ddoc: "shop" } })).result, "exists");
      await db.createIndex({ index: { fields: ["at.shop"] } });
      assert.equal((await db.getIndexes()).indexes.length, 3);
    }
    const queries = [
      { selector: { kind: "tea", n: { $gt: null } } },
      { selector: { kind: "coffee", n: { $gt: 20, $lte: 40 } }, sort: ["kind", "n"] },
      { selector: { kind: { $gte: "m" }, n: { $gt: null } }, sort: [{ kind: "desc" }, { n: "desc" }], limit: 7, skip: 2, fields: ["_id", "n"] },
      { selector: { "at.shop": { $in: ["s1", "s3"] }, n: { $mod: [2, 1] } } },
      { selector: { kind: "milk", n: { $gte: 30 } }, use_index: ["shop", "kind-n"] },
    ];
    for (const query of queries) {
      const [mine, theirs] = [await server.find(query), await one.find(query)];
      const key = (docs) => (query.sort ? docs : [...docs].sort((a, b) => (a._id < b._id ? -1 : 1)));
      assert.deepEqual(key(mine.docs), key(theirs.docs), JSON.stringify(query));
      assert.equal(mine.warning, undefined, JSON.stringify(query));
    }
    assert.equal((await server.explain(queries[1])).index.name, "kind-n");
    assert.match((await server.find({ selector: { n: 5 } })).warning, /index/);
    const index = (await server.getIndexes()).indexes.find(({ name }) => name === "kind-n");
    await server.deleteIndex(index);
    assert.equal((await server.getIndexes()).indexes.length, 2);
    // Indexes are documents, and travel with them.
    const two = peer();
    await two.replicate.from(server);
    assert.equal((await two.getIndexes()).indexes.length, 2);
    return { documents: (await server.find({ selector: { "at.shop": "s2" } })).docs.length };
  },

  /** The same views here and on a peer of its own. */
  async views() {
    const [one, server] = [peer(), remote("views")];
    await one.put({
      _id: "_design/all",
      views: {
        keys: { map: "function (doc) { emit(doc.key, doc.n); }" },
        count: { map: "function (doc) { emit([doc.n % 2, doc.n % 3, doc.n], doc.n); }", reduce: "_count" },
        sum: { map: "function (doc) { emit([doc.n % 2, doc.n % 3, doc.n], doc.n); }", reduce: "_sum" },
        stats: { map: "function (doc) { emit([doc.n % 2, doc.n % 3, doc.n], doc.n); }", reduce: "_stats" },
        own: { map: "function (doc) { emit(doc.n % 4, doc.n); }", reduce: "function (keys, values, again) { return Math.max.apply(null, values); }" },
        some: { map: "function (doc) { emit(doc.key.a.b); emit(doc.key); }" },
        link: { map: "function (doc) { emit(doc.n, { _id: 'd' + (doc.n + 1) }); }" },
      },
    });
    const keys = [null, false, true, 0, -1, 2.5, 10, "", "a", "aa", "b", [], [1], [1, "a"], ["a"], {}, { a: 1 }, { a: { b: 3 } }, { b: 1 }];
    await one.bulkDocs(keys.map((key, n) => ({ _id: `d${n}`, n, key })));
    await one.replicate.to(server);
    const queries = [
      ["keys"], ["keys", { descending: true }], ["keys", { include_docs: true, limit: 5, skip: 2 }], ["keys", { startkey: 0, endkey: "a" }], ["keys", { startkey: "a", endkey: 0, descending: true }],
      ["keys", { key: [1] }], ["keys", { keys: ["b", null, "none", {}, "b"] }], ["keys", { startkey: "a", endkey: "a\ufff0" }], ["keys", { startkey: [], endkey: [{}], inclusive_end: false }],
      ["some"], ["link", { include_docs: true }],
      ...["count", "sum", "stats"].flatMap((view) => [{}, { group: true }, { group_level: 1 }, { group_level: 2 }, { group_level: 2, descending: true, limit: 3, skip: 1 }, { startkey: [1], endkey: [1, {}] }, { reduce: false }].map((given) => [view, given])),
      ["own"], ["own", { group: true }], ["own", { group: true, keys: [3, 1, 7] }],
    ];
    const plain = ({ total_rows, rows }) => ({ total_rows, rows: rows.map(({ doc, ...row }) => ({ ...row, doc: doc?._id })) });
    for (const [view, given] of queries) {
      const [mine, theirs] = [await server.query(`all/${view}`, given), await one.query(`all/${view}`, given)];
      assert.deepEqual(plain(mine), plain(theirs), `${view} ${JSON.stringify(given)}`);
    }
    const two = peer();
    assert.equal((await two.replicate.from(server, { filter: "_view", view: "all/some" })).docs_written, (await server.query("all/some")).rows.map((row) => row.id).filter((id, n, all) => all.indexOf(id) === n).length);
    await server.viewCleanup();
    return { queries: queries.length };
  },

  /** Three peers edit the same document at random, each alone most of the time; the server merges, and nobody loses anything. */
  async merge() {
    let random = Number(seed);
    const next = (below) => {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      return Math.floor((random / 2 ** 32) * below);
    };
    const peers = [peer(), peer(), peer()];
    const server = remote("merged");
    const ids = ["one", "two"];
    await server.bulkDocs(ids.map((_id) => ({ _id, count: 0, tags: [], most: 0, least: 0, text: "first\nlast", by: "nobody" })));
    for (const db of peers) {
      await db.replicate.from(server);
    }
    const made = Object.fromEntries(ids.map((id) => [id, { count: 0, tags: [], most: 0, least: 0, lines: [] }]));
    for (let n = 0; n < Number(operations); n++) {
      const db = peers[next(3)];
      const kind = next(10);
      if (kind < 6) {
        const id = ids[next(2)];
        const doc = await db.get(id);
        const by = 1 + next(5);
        const at = next(1000) - 500;
        const lines = doc.text.split("\n");
        lines.splice(1 + next(lines.length - 1), 0, `line ${n}`);
        await db.put({ ...doc, count: doc.count + by, tags: [...doc.tags, `t${n}`], most: Math.max(doc.most, at), least: Math.min(doc.least, at), text: lines.join("\n"), by: `peer ${peers.indexOf(db)}` });
        made[id].count += by;
        made[id].tags.push(`t${n}`);
        made[id].lines.push(`line ${n}`);
        made[id].most = Math.max(made[id].most, at);
        made[id].least = Math.min(made[id].least, at);
      } else if (kind < 8) {
        await db.replicate.to(server);
      } else {
        await db.replicate.from(server);
      }
    }
    for (let round = 0; round < 2; round++) {
      for (const db of peers) {
        await db.replicate.to(server);
        await db.replicate.from(server);
      }
    }
    const all = await state(server);
    for (const db of [...peers, server]) {
      assert.deepEqual(await state(db), all);
      for (const id of ids) {
        const doc = await db.get(id, { conflicts: true });
        assert.equal(doc._conflicts, undefined);
        assert.deepEqual([doc.count, [...doc.tags].sort(), doc.most, doc.least], [made[id].count, made[id].tags.sort(), made[id].most, made[id].least], id);
        const lines = doc.text.split("\n");
        assert.deepEqual([lines[0], lines.at(-1)], ["first", "last"]);
        assert.deepEqual(lines.slice(1, -1).sort(), made[id].lines.sort(), id);
      }
    }
    return { leaves: ids.reduce((sum, id) => sum + Object.keys(all[id]).length - 1, 0) };
  },

  /** The same while the server is killed again and again: in the end all have the same trees, and every body that it acknowledged can be read there. */
  async model() {
    let random = Number(seed);
    const next = (below) => {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      return Math.floor((random / 2 ** 32) * below);
    };
    const peers = [peer(), peer(), peer()];
    const acknowledged = [];
    const server = remote("model", { answered: async (url, options, response) => {
      if (/\/_bulk_docs$/.test(url) && response.status === 201) {
        const refused = await response.clone().json();
        assert.deepEqual(refused, []);
        JSON.parse(options.body).docs.forEach(({ _id, _rev, _deleted, n }) => acknowledged.push({ id: _id, rev: _rev, deleted: _deleted, n }));
      }
    } });
    let failed = 0;
    // Of a request that breaks off, this client leaves a promise of its own behind besides the one that it answers.
    process.on("unhandledRejection", (error) => {
      assert.match(error.message, /ECONN|socket/);
      failed++;
    });
    const replicate = async (direction, db) => {
      try {
        await db.replicate[direction](server, { batch_size: 5 });
        return true;
      } catch (error) {
        assert.match(`${error.name} ${error.message} ${error.reason}`, /problem getting docs|fetch|network|socket|ECONN|unknown|Failed|terminated|503|unavailable/i, `${error.name}: ${error.message} ${error.reason}`);
        failed++;
        return false;
      }
    };
    await until(async () => (await replicate("to", peers[0])), "the server is up");
    for (let n = 0; n < Number(operations); n++) {
      const db = peers[next(3)];
      const id = `doc-${next(30)}`;
      const there = await db.get(id, { conflicts: true }).catch(() => ({ _id: id }));
      const kind = next(20);
      if (kind < 13) {
        await db.put({ _id: id, ...(there._rev && { _rev: there._rev }), n, by: peers.indexOf(db) });
      } else if (kind === 13 && there._rev) {
        await db.remove(there);
      } else if (kind === 14 && there._conflicts) {
        await db.remove(id, there._conflicts[0]);
      } else if (kind > 14) {
        // All at once, so that some are in the middle of it when the server dies. Some wait for it to come back, others go on alone.
        const all = await Promise.all([db, peers[next(3)]].map((peer) => replicate(next(2) ? "to" : "from", peer)));
        if (all.includes(false) && next(3) === 0) {
          await until(() => replicate("to", db), "the server is back");
        }
      }
    }
    for (let round = 0; round < 2; round++) {
      for (const db of peers) {
        await until(() => replicate("to", db), "pushed");
        await until(() => replicate("from", db), "pulled");
      }
    }
    const all = await state(server);
    for (const db of peers) {
      assert.deepEqual(await state(db), all);
    }
    for (const { id, rev, deleted, n } of acknowledged) {
      const body = await server.get(id, { rev });
      assert.deepEqual([body._rev, body._deleted, body.n], [rev, deleted, n], `${id} ${rev}`);
    }
    return { documents: Object.keys(all).length, acknowledged: acknowledged.length, failed };
  },

  /** Three peers edit at random, each alone most of the time; whatever was acknowledged is on all in the end. */
  async converge() {
    let random = Number(seed);
    const next = (below) => {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      return Math.floor((random / 2 ** 32) * below);
    };
    const peers = [peer(), peer(), peer()];
    const server = remote(`model-${seed}`);
    const acknowledged = [];
    for (let n = 0; n < Number(operations); n++) {
      const db = peers[next(3)];
      const id = `doc-${next(20)}`;
      const there = await db.get(id, { conflicts: true }).catch(() => ({ _id: id }));
      const kind = next(10);
      if (kind < 6) {
        const doc = { _id: id, ...(there._rev && { _rev: there._rev }), n, by: peers.indexOf(db) };
        if (next(8) === 0) {
          // The same content in all revisions: of those that conflict, this client pulls the winner's content for each.
          doc._attachments = { a: { content_type: "text/plain", data: Buffer.from(`content of ${id}`).toString("base64") } };
        }
        acknowledged.push({ id, rev: (await db.put(doc)).rev, n });
      } else if (kind === 6 && there._rev) {
        await db.remove(there);
      } else if (kind === 7 && there._conflicts) {
        await db.remove(id, there._conflicts[0]);
      } else if (kind === 8) {
        await db.replicate.to(server, { retry: true });
      } else if (kind === 9) {
        await db.replicate.from(server, { retry: true });
      }
    }
    for (let round = 0; round < 2; round++) {
      for (const db of peers) {
        await db.replicate.to(server);
        await db.replicate.from(server);
      }
    }
    const all = await state(server);
    for (const db of peers) {
      assert.deepEqual(await state(db), all);
    }
    // Of revisions that became ancestors before they were pushed only the names went over.
    const leaves = acknowledged.filter(({ id, rev }) => all[id]?.[rev]);
    for (const { id, rev, n } of leaves) {
      assert.equal(all[id][rev].n, n);
    }
    return { documents: Object.keys(all).length, acknowledged: acknowledged.length, leaves: leaves.length };
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
process.exit(0);
