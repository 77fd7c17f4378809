// Random calls on many documents: the feed of changes, _all_docs, views and _find.
import assert from "node:assert/strict";
import { next, once, own, pick, some } from "./world.mjs";
import { json, query } from "./documents.mjs";

/** Where the whole feed of each ended. */
const lastSeq = [0, 0];
const ids = () => [own(), own(), `tree-${next(6)}`, "_design/app"];
const flags = (names) => Object.fromEntries(some(names).map((name) => [name, true]));
const feed = () => ({ style: pick([undefined, "all_docs", "main_only"]), ...flags(["include_docs", "conflicts", "attachments"]) });
const rows = (answer, keep) => (answer.status === 200 ? { ...answer, json: { ...answer.json, results: answer.json.results.filter(keep) } } : answer);

const feeds = {
  changes() {
    const more = { ...feed(), descending: once(3) || undefined, ...pick([{}, {}, { feed: "normal", heartbeat: true }, { feed: "longpoll", since: 0 }, { timeout: 1000 }, { seq_interval: 3 }, { limit: 100000 }, { since: "now" }]) };
    return { both: () => ["GET", `/_changes${query(more.feed === "longpoll" || more.since === "now" ? { ...more, descending: undefined } : more)}`], noSeq: more.seq_interval };
  },
  /** The whole of it, from which the next ones go on. */
  whole() {
    return {
      both: () => ["GET", "/_changes"],
      read: ({ json: page }, server) => { lastSeq[server] = page.last_seq; return page; },
    };
  },
  /** On from there: the same documents have changed since. */
  since() {
    const more = { ...feed(), ...pick([{}, { limit: 1 + next(5) }, { descending: false }]) };
    return { both: (server) => ["GET", `/_changes${query({ since: lastSeq[server], ...more })}`], cut: more.limit };
  },
  limited() {
    const more = { ...feed(), limit: next(8), descending: once(2) || undefined };
    return { both: () => ["GET", `/_changes${query(more)}`], cut: Math.max(1, more.limit) };
  },
  /** In pages to the end; what is left is said with each. */
  pages() {
    const more = { limit: 2 + next(4), ...feed() };
    const pages = async (ask, server) => {
      const all = [];
      const left = [];
      let page;
      for (let since = 0; !page || page.json.results.length === more.limit; since = page.json.last_seq) {
        page = await ask(server, ["GET", `/_changes${query({ ...more, since })}`]);
        if (page.status !== 200) {
          return page;
        }
        all.push(...page.json.results);
        left.push([all.length, page.json.pending]);
      }
      assert.equal(new Set(all.map(({ id }) => id)).size, all.length, "a document came twice");
      assert.ok(server === 1 || left.every(([before, pending]) => before + pending >= all.length), `pending: ${JSON.stringify(left)} of ${all.length}`);
      return { status: 200, json: { results: all } };
    };
    return { both: () => ["GET", `/_changes${query(more)}, in pages`], whole: pages };
  },
  filtered() {
    const [list, least, more] = [ids(), next(1000), { ...feed(), descending: once(3) || undefined }];
    const selector = pick([{ n: { $gt: least } }, { _id: { $in: list } }, { text: { $exists: true } }, { _id: { $gt: "own-3" }, n: { $lte: least, $gt: null } }]);
    const filter = (name, also = {}) => `/_changes${query({ ...more, filter: name, ...also })}`;
    return pick([
      () => ({ both: () => ["POST", filter("_doc_ids"), { doc_ids: list }] }),
      () => ({ both: () => ["GET", filter("_doc_ids", { doc_ids: json(list) })] }),
      // It reads a selector in the query alone.
      () => ({ both: () => ["POST", filter("_selector"), { selector }], theirs: (ask) => ask(["GET", filter("_selector", { selector: json(selector) })]) }),
      // It lacks that filter.
      () => ({ both: () => ["GET", filter("_design")], theirs: async (ask) => rows(await ask(["GET", `/_changes${query(more)}`]), ({ id }) => id.startsWith("_design/")) }),
      () => ({ both: () => ["GET", filter("_view", { view: "app/n" })] }),
      () => ({ both: () => ["GET", filter("app/above", { n: least })] }),
    ])();
  },
};

const bound = () => pick([own(), `tree-${next(8)}`, "own", "tree", "a", "~", "_design/app"]);
const all = {
  list() {
    const range = pick([{}, { startkey: bound() }, { endkey: bound() }, { startkey: bound(), endkey: bound() }, { start_key: bound(), end_key: bound() }, { key: bound() }]);
    const more = { ...flags(["include_docs", "conflicts", "attachments", "update_seq"]), descending: once(3) || undefined, ...pick([{}, { limit: next(6) }, { skip: next(4) }, { limit: 3, skip: 1 }]), ...(once(3) && { inclusive_end: once(2) }) };
    // What inclusive_end means without an end is not said.
    const { inclusive_end: _, ...others } = more;
    const said = { ...(range.key ? others : more), ...range };
    const inUrl = Object.fromEntries(Object.entries(said).map(([name, one]) => [name, one === undefined ? one : typeof one === "string" ? json(one) : `${one}`]));
    return { both: () => ["GET", `/_all_docs${query(inUrl)}`], said };
  },
  listBody() {
    const said = { ...pick([{}, { startkey: bound() }, { startkey: bound(), endkey: bound() }, { key: bound() }]), ...flags(["include_docs", "conflicts", "descending"]), ...pick([{}, { limit: next(6) }, { skip: next(4) }]) };
    return { both: () => ["POST", "/_all_docs", said], said };
  },
  keys() {
    const keys = [own(), "none", `tree-${next(6)}`, own(), own()];
    const more = { ...flags(["include_docs", "conflicts", "attachments", "update_seq"]), ...pick([{}, { limit: 1 + next(3) }, { skip: next(3) }, { descending: true }]) };
    return { both: () => ["POST", `/_all_docs${query(more)}`, { keys }], said: { ...more, keys } };
  },
  keysInUrl() {
    const keys = [own(), "none", `tree-${next(6)}`];
    const more = flags(["include_docs", "conflicts"]);
    return { both: () => ["GET", `/_all_docs${query({ ...more, keys: json(keys) })}`], said: { ...more, keys } };
  },
  view() {
    const least = next(1000);
    const more = pick([
      {}, { reduce: "false" }, { reduce: "false", descending: true }, { group: true }, { startkey: least, reduce: "false" }, { endkey: least, inclusive_end: "false", reduce: "false" }, { startkey: least, endkey: least + 300 },
      { reduce: "false", limit: 3, skip: 1 }, { reduce: "false", include_docs: true }, { reduce: "false", include_docs: true, conflicts: true }, { startkey: least, endkey: least - 1 }, { group: true, limit: 2 }, { key: least },
    ]);
    return { both: () => ["GET", `/_design/app/_view/n${query(more)}`] };
  },
  viewKeys() {
    const keys = Array.from({ length: 3 }, () => next(1000));
    return { both: () => ["POST", "/_design/app/_view/n?reduce=false", { keys }] };
  },
};

const finding = {
  find() {
    const [least, list] = [next(1000), [own(), own(), `tree-${next(6)}`]];
    // "$lt: The field is less than": one that is not there is in CouchDB nothing to compare, to the other server less than anything. So it has to be there.
    const selector = pick([
      { n: { $gt: least } }, { n: { $lte: least, $gt: null } }, { n: { $gte: least, $lt: least + 300 } }, { _id: { $gt: "own-3" } }, { text: { $exists: true } }, { text: { $exists: false }, n: { $gt: null } },
      { $or: [{ n: { $lt: least, $gt: null } }, { _id: pick(list) }] }, { _id: { $in: list } }, { $not: { n: { $gt: least } } }, { n: { $mod: [2, 1] } }, { n: { $type: "number" }, _id: { $regex: "^own-[0-4]$" } }, { n: { $ne: least } }, {},
    ]);
    const fields = pick([undefined, undefined, ["_id", "n"]]);
    return { both: () => ["POST", "/_find", { selector, limit: 1000, ...(fields && { fields }) }], unordered: true };
  },
  sorted() {
    const [least, order] = [next(1000), pick(["asc", "desc"])];
    return { both: () => ["POST", "/_find", { selector: { n: { $gt: least } }, sort: [{ n: order }], fields: ["n"], limit: 1000 }] };
  },
  index() {
    return { both: () => ["POST", "/_index", { index: { fields: ["n"] }, ddoc: "fields", name: "n" }] };
  },
};

export const lists = { ...feeds, ...all, ...finding };
