// Sends the same random calls to the sync service and to express-pouchdb, another server of the protocol, and compares status and content of the answers.
// Usage: node differential.mjs <address of the gateway> <access token> <seed> <calls>; prints a line of JSON, fails with a message otherwise.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const [address, token, seed, calls] = process.argv.slice(2);
const PouchDB = require("pouchdb-core").plugin(require("pouchdb-adapter-memory")).plugin(require("pouchdb-replication")).plugin(require("pouchdb-mapreduce")).plugin(require("pouchdb-find"))
  .defaults({ adapter: "memory", prefix: `differential-${process.pid}-` });
const app = require("express")();
app.use("/sync", require("express-pouchdb")(PouchDB, { mode: "minimumForPouchDB", overrideMode: { include: ["routes/find"] }, inMemoryConfig: true, logPath: "/dev/null" }));
const other = await new Promise((resolve) => { const server = app.listen(0, "127.0.0.1", () => resolve(server)); });
const servers = [address.replace(/\/$/, ""), `http://127.0.0.1:${other.address().port}`];
const name = `differential-${seed}`;

let random = Number(seed);
const next = (below) => {
  random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
  return Math.floor((random / 2 ** 32) * below);
};
// The other server fails at some trees with more than one leaf, out of any request; such a call tells nothing.
let unanswered = 0;
process.on("uncaughtException", (error) => { if (!/pouchdb-/.test(error.stack)) { console.error(error); process.exit(1); } });
const pick = (list) => list[next(list.length)];

async function call(server, method, path, body, headers = {}, more = async (answer) => answer) {
  const response = await fetch(`${servers[server]}/sync/${name}${path}`, {
    method,
    headers: { Accept: "application/json", ...(server === 0 && { Authorization: `Bearer ${token}` }), ...(body !== undefined && { "Content-Type": "application/json" }), ...headers },
    body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(server === 0 ? 60_000 : 5000),
  }).catch((error) => { if (server === 0) { throw error; } });
  if (!response) {
    unanswered++;
    return { status: 0 };
  }
  const text = await response.text();
  let json = text;
  try {
    json = JSON.parse(text);
  } catch {
    // Attachments are no JSON.
  }
  return response.ok ? more({ status: response.status, json }) : { status: response.status, json };
}

// Each server names the revisions that it makes itself; what is compared of them is the generation.
const made = [new Map(), new Map()];
const gone = new Set();
/** Where the whole feed of each ended. */
const lastSeq = [0, 0];
const revOf = (server, id) => made[server].get(id);

/** Without what is each server's own affair. */
function plain(value, id = value?.id ?? value?._id) {
  if (Array.isArray(value)) {
    if (value[0]?.ok?._rev) {
      // The leaves of a document, in no order.
      value = [...value].sort((one, two) => (one.ok?._rev < two.ok?._rev ? -1 : 1));
    }
    return value.map((one) => plain(one, id));
  }
  if (typeof value === "string") {
    return /^(own-|_design)/.test(id) ? value.replace(/^(\d+)-[0-9a-f]{32}$/, "$1-*") : value;
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  id = value.id ?? value._id ?? id;
  if (value._id === "_design/fields") {
    // How an index is written down is not said.
    return { _id: value._id };
  }
  const entries = Object.entries(value).filter(([key, one]) => !(key === "doc" && one === null)).filter(([key]) => !["seq", "last_seq", "pending", "reason", "_local_seq", "offset", "stack", "name", "message", "docId", "bookmark", "warning"].includes(key));
  const kept = entries.map(([key, one]) => {
    switch (key) {
      case "_revisions": return [key, /^(own-|_design)/.test(id) ? { start: one.start, ids: one.ids.length } : one];
      // Where documents of one request stand among each other is not said, nor what comes twice in it.
      case "results": return [key, one.map((row) => plain(row)).sort((row, two) => (row.id < two.id ? -1 : 1))];
      // Of what is not there the documentation of _bulk_get has an error with the reason; the other server writes as open_revs does.
      case "docs": return [key, one.map((row) => (row.error ? { missing: row.error.rev } : plain(row))).sort((row, two) => (row._id < two._id ? -1 : 1))];
      case "changes": return [key, one.map(({ rev }) => plain(rev, id)).sort()];
      case "_conflicts": case "_deleted_conflicts": case "possible_ancestors": case "missing": return [key, Array.isArray(one) ? [...one].sort() : one];
      case "_attachments": return [key, Object.fromEntries(Object.entries(one).sort().map(([file, { revpos, ...rest }]) => [file, rest]))];
      default: return [key, plain(one, id)];
    }
  });
  return Object.fromEntries(kept.sort(([one], [two]) => (one < two ? -1 : 1)));
}

// Trees are made with revisions that the test names, so that they are the same on both.
const trees = new Map();
const hash = () => Array.from({ length: 8 }, () => next(65536).toString(16).padStart(4, "0")).join("");
function grow(id) {
  const known = trees.get(id) ?? [];
  trees.set(id, known);
  const parent = known.length > 0 && next(4) > 0 ? pick(known) : [];
  const path = [...Array.from({ length: 1 + next(3) }, hash), ...parent];
  for (let n = 0; n < path.length; n++) {
    const part = path.slice(n);
    if (!known.some((one) => one[0] === part[0] && one.length === part.length)) {
      known.push(part);
    }
  }
  return { _id: id, _rev: `${path.length}-${path[0]}`, _revisions: { start: path.length, ids: path }, n: next(1000), ...(next(4) === 0 && { _deleted: true }) };
}
const someRev = () => {
  const [id, known] = pick([...trees.entries(), ["tree-0", []]]);
  return [id, known.length > 0 && next(5) > 0 ? pick(known) : [hash()]];
};

const own = () => `own-${next(8)}`;
const kinds = {
  async grow() {
    // Each document once: the other server can lose the winner of two revisions in one request.
    const docs = [...new Set(Array.from({ length: 1 + next(3) }, () => `tree-${next(6)}`))].map(grow);
    return () => ["POST", "/_bulk_docs", { docs, new_edits: false }];
  },
  async put() {
    // Over a tombstone the other server takes any revision; that is an update conflict.
    const [id, doc, kind] = [own(), { n: next(1000), text: "é\u2028x" }, next(4)];
    return (server) => {
      const rev = kind === 0 ? undefined : kind === 1 && !gone.has(id) ? `1-${"0".repeat(32)}` : revOf(server, id);
      return ["PUT", `/${id}`, { ...doc, ...(rev && { _rev: rev }) }];
    };
  },
  async remove() {
    // Without a revision the documentation says 409, and the other server deletes.
    const id = own();
    return (server) => ["DELETE", `/${id}${revOf(server, id) ? `?rev=${revOf(server, id)}` : ""}`];
  },
  async bulk() {
    const docs = [...new Set(Array.from({ length: 4 }, own))].map((_id) => ({ _id, n: next(1000), remove: next(6) === 0, named: next(3) > 0 }));
    return (server) => ["POST", "/_bulk_docs", {
      docs: docs.map(({ _id, n, remove, named }) => ({ _id, n, ...(named && revOf(server, _id) && { _rev: revOf(server, _id), ...(remove && { _deleted: true }) }) })),
    }];
  },
  async get() {
    const id = next(2) ? own() : `tree-${next(7)}`;
    const query = pick(["", "?conflicts=true", "?revs=true", "?open_revs=all", "?open_revs=all&revs=true", "?attachments=true"]);
    return () => ["GET", `/${id}${query}`];
  },
  async getRev() {
    const [id, path] = someRev();
    // The other server ends when it is asked for the latest of what it does not know.
    const leaf = next(2) && trees.get(id)?.includes(path) ? "&latest=true" : "";
    return () => ["GET", `/${id}?open_revs=${encodeURIComponent(JSON.stringify([`${path.length}-${path[0]}`]))}${leaf}`];
  },
  async diff() {
    const asked = Object.fromEntries(Array.from({ length: 3 }, someRev).map(([id, path]) => [id, [`${path.length}-${path[0]}`]]));
    return () => ["POST", "/_revs_diff", asked];
  },
  async bulkGet() {
    const docs = [...new Map(Array.from({ length: 3 }, someRev)).entries()].map(([id, path]) => ({ id, rev: `${path.length}-${path[0]}` }));
    return () => ["POST", `/_bulk_get${pick(["", "?revs=true"])}`, { docs }];
  },
  async changes() {
    const query = pick([
      "", "?style=all_docs", "?include_docs=true", "?include_docs=true&conflicts=true&style=all_docs", "?descending=true", "?since=now", "?since=0&feed=longpoll", "?include_docs=true&attachments=true",
      "?descending=true&style=all_docs&include_docs=true", "?seq_interval=5", "?limit=100000", "?feed=normal&heartbeat=true", "?style=main_only&timeout=1000", "?style=other", "?limit=-1", "?feed=other", "?filter=none/there",
    ]);
    return () => ["GET", `/_changes${query}`];
  },
  /** On from where the last whole answer of each ended: the same documents have changed since. */
  async since() {
    const query = pick(["", "&style=all_docs", "&include_docs=true&conflicts=true", "&descending=false", "&include_docs=true&attachments=true"]);
    return (server) => ["GET", `/_changes?since=${encodeURIComponent(lastSeq[server])}${query}`];
  },
  /** In pages to the end. */
  async pages() {
    const [limit, style] = [2 + next(4), pick(["", "&style=all_docs", "&include_docs=true"])];
    return (server) => ["GET", `/_changes?limit=${limit}${style}`, undefined, undefined, async (first) => {
      const all = [...first.json.results];
      for (let page = first.json; page.results.length === limit;) {
        page = (await call(server, "GET", `/_changes?limit=${limit}${style}&since=${encodeURIComponent(page.last_seq)}`)).json;
        all.push(...page.results);
      }
      assert.equal(new Set(all.map(({ id }) => id)).size, all.length, "a document came twice");
      return { ...first, json: { results: all } };
    }];
  },
  async filtered() {
    const ids = [own(), own(), `tree-${next(6)}`];
    const some = next(1000);
    const request = pick([
      ["POST", "/_changes?filter=_doc_ids", { doc_ids: ids }], ["POST", "/_changes?filter=_doc_ids&include_docs=true&style=all_docs", { doc_ids: ids }],
      ["GET", `/_changes?filter=_doc_ids&doc_ids=${encodeURIComponent(JSON.stringify(ids))}`], ["GET", "/_changes?filter=_view&view=app/n"], ["GET", `/_changes?filter=app/above&n=${some}`],
      ["GET", `/_changes?filter=app/above&n=${some}&include_docs=true&descending=true`],
    ]);
    return () => request;
  },
  async list() {
    const query = pick(["", "?include_docs=true", "?descending=true", "?startkey=%22own-3%22", "?endkey=%22own-5%22&inclusive_end=false", "?limit=3&skip=1", "?key=%22own-2%22", "?startkey=%22tree%22&include_docs=true&conflicts=true"]);
    return () => ["GET", `/_all_docs${query}`];
  },
  async keys() {
    const keys = [own(), "none", `tree-${next(6)}`, own()];
    return () => ["POST", `/_all_docs${pick(["", "?include_docs=true"])}`, { keys }];
  },
  async attach() {
    const [id, file, text] = [own(), `f${next(2)}`, `text ${next(5)}`];
    // Of a deleted document the other server says 404, where a document without attachments is created anew.
    return (server) => gone.has(id) ? ["GET", `/${id}`] : ["PUT", `/${id}/${file}${revOf(server, id) ? `?rev=${revOf(server, id)}` : ""}`, text, { "Content-Type": "text/plain" }];
  },
  async attached() {
    const [id, file] = [own(), `f${next(2)}`];
    return () => ["GET", `/${id}/${file}`];
  },
  async view() {
    const some = next(1000);
    const query = pick([
      "", "?reduce=false", "?reduce=false&descending=true", "?group=true", `?startkey=${some}&reduce=false`, `?endkey=${some}&inclusive_end=false&reduce=false`, `?startkey=${some}&endkey=${some + 300}`,
      "?reduce=false&limit=3&skip=1", "?reduce=false&include_docs=true", `?startkey=${some}&endkey=${some - 1}`, "?group=true&limit=2",
    ]);
    return () => ["GET", `/_design/app/_view/n${query}`];
  },
  async viewKeys() {
    const keys = Array.from({ length: 3 }, () => next(1000));
    return () => ["POST", "/_design/app/_view/n?reduce=false", { keys }];
  },
  async find() {
    const [some, ids] = [next(1000), [own(), own(), `tree-${next(6)}`]];
    // "$lt: The field is less than": one that is not there is in CouchDB nothing to compare, to the other server less than anything. So it has to be there.
    const selector = pick([
      { n: { $gt: some } }, { n: { $lte: some, $gt: null } }, { n: { $gte: some, $lt: some + 300 } }, { _id: { $gt: "own-3" } }, { text: { $exists: true } }, { text: { $exists: false }, n: { $gt: null } },
      { $or: [{ n: { $lt: some, $gt: null } }, { _id: pick(ids) }] }, { _id: { $in: ids } }, { $not: { n: { $gt: some } } }, { n: { $mod: [2, 1] } }, { n: { $type: "number" }, _id: { $regex: "^own-[0-4]$" } }, { n: { $ne: some } }, {},
    ]);
    const fields = pick([undefined, undefined, ["_id", "n"]]);
    return () => ["POST", "/_find", { selector, limit: 1000, ...(fields && { fields }) }];
  },
  async sorted() {
    const [some, order] = [next(1000), pick(["asc", "desc"])];
    return () => ["POST", "/_find", { selector: { n: { $gt: some } }, sort: [{ n: order }], fields: ["n"], limit: 1000 }];
  },
  async index() {
    return () => ["POST", "/_index", { index: { fields: ["n"] }, ddoc: "fields", name: "n" }];
  },
  async local() {
    const id = `_local/l${next(3)}`;
    return next(3) ? () => ["GET", `/${id}`] : () => ["PUT", `/${id}`, { n: 1 }];
  },
  async wrong() {
    const request = pick([
      ["PUT", "/_wrong", {}], ["PUT", "/own-1", { _unknown: 1 }], ["PUT", "/own-1", "{\"a\":"], ["POST", "/_bulk_docs", {}], ["GET", "/none"], ["PUT", "/own-1", { _rev: "nonsense" }], ["PUT", "/own-1", []],
    ]);
    return () => request;
  },
};

/** What another server does otherwise, and why ours does not. */
const meant = [
  // "Forces retrieving latest leaf revision, no matter what rev was requested": where there are two, both are latest.
  { kinds: ["getRev"], is: (_, ours, theirs) => ours.status === 200 && theirs.status === 200 && theirs.json.every(({ ok, missing }) => ours.json.some((one) => (ok ? one.ok?._rev === ok._rev : one.missing === missing))) },
  // "style: Specifies how many revisions are returned", main_only or all_docs; "feed" is one of four words; "limit" is a number: the other server takes any text for the default.
  { kinds: ["changes"], is: (request, ours, theirs) => /style=other|feed=other|limit=-1/.test(request[1]) && ours.status === 400 && theirs.status === 200 },
  // Of a reserved member that does not exist the other server tells as of a fault of its own.
  { kinds: ["wrong"], is: (request, ours, theirs) => request[2]?._unknown && ours.status === 400 && ours.json.error === theirs.json.error },
  // "Given a list of document revisions, returns the ones that don't exist in the database": an ancestor whose body is not here does exist in the tree.
  {
    kinds: ["diff"],
    is: (_, ours, theirs) => ours.status === theirs.status && Object.entries(ours.json).every(([id, { missing }]) => missing.every((rev) => theirs.json[id]?.missing.includes(rev)))
      && Object.entries(theirs.json).every(([id, { missing }]) => missing.every((rev) => ours.json[id]?.missing.includes(rev) || trees.get(id)?.some((path) => rev === `${path.length}-${path[0]}`))),
  },
];

function differs(kind, request, ours, theirs) {
  if (theirs.status === 0) {
    return false;
  }
  const [one, two] = [ours, theirs].map(({ status, json }) => ({ status, json: [404, 409, 412].includes(status) ? json?.error : status >= 400 ? "" : plain(json) }));
  try {
    assert.deepEqual(one, two);
    return false;
  } catch (error) {
    return !meant.some((rule) => rule.kinds.includes(kind) && rule.is(request, ours, theirs)) && error.message;
  }
}

for (const server of [0, 1]) {
  assert.equal((await call(server, "PUT", "")).status, 201);
}
const design = { _id: "_design/app", filters: { above: "function (doc, req) { return doc.n > Number(req.query.n); }" }, views: { n: { map: "function (doc) { if (typeof doc.n === 'number') { emit(doc.n, doc._id); } }", reduce: "_count" } } };
for (const server of [0, 1]) {
  assert.equal((await call(server, "PUT", "/_design/app", design)).status, 201);
  assert.equal((await call(server, ...(await kinds.index())())).json.result, "created");
}
let count = 0;
const found = [];
for (let n = 0; n < Number(calls); n++) {
  const kind = pick(Object.keys(kinds));
  const request = await kinds[kind]();
  const state = random;
  const requests = [0, 1].map((server) => { random = state; return request(server); });
  const answers = [];
  for (const server of [0, 1]) {
    const answer = await call(server, ...requests[server]);
    answers.push(answer);
    for (const row of Array.isArray(answer.json) ? answer.json : [answer.json]) {
      const removed = requests[server][0] === "DELETE" || requests[server][2]?.docs?.some?.((doc) => doc._id === row?.id && doc._deleted);
      if (row?.ok && row.rev && row.id?.startsWith("own-")) {
        removed ? made[server].delete(row.id) : made[server].set(row.id, row.rev);
        removed ? gone.add(row.id) : gone.delete(row.id);
      }
    }
  }
  if (kind === "changes" && requests[0][1] === "/_changes" && answers.every(({ status }) => status === 200)) {
    answers.forEach(({ json }, server) => { lastSeq[server] = json.last_seq; });
  }
  const difference = differs(kind, requests[0], ...answers);
  if (difference) {
    found.push(`${kind} ${requests[0][0]} ${requests[0][1]} ${JSON.stringify(requests[0][2])}\nours ${JSON.stringify(answers[0])}\ntheirs ${JSON.stringify(answers[1])}`);
  }
  count++;
}
assert.equal(found.length, 0, found.slice(0, 15).join("\n\n").slice(0, 12_000));
assert.ok(unanswered * 10 < count, `The other server left ${unanswered} calls without an answer.`);
console.log(JSON.stringify({ calls: count, unanswered }));
process.exit(0);
