// What the other server does not have, against the documentation alone, in a database of its own: _purge and _revs_limit.
import assert from "node:assert/strict";
import { generationOf, hash, next, nowhere, once, pick, Tree } from "./world.mjs";

/** @returns the differences */
export async function alone(ask, name) {
  const found = [];
  const documents = new Map();
  const call = (...request) => ask(0, request, name);
  const same = (what, one, two) => {
    try {
      assert.deepEqual(one, two);
    } catch (error) {
      found.push(`${what}\n${error.message}`);
    }
  };

  async function grow() {
    const id = `p${next(4)}`;
    const tree = documents.get(id) ?? new Tree();
    documents.set(id, tree);
    const parent = once(3) || tree.nodes.size === 0 ? undefined : pick([...tree.nodes.values()]);
    const path = [`${(parent ? generationOf(parent.rev) : 0) + 1}-${hash()}`, ...(parent?.path ?? [])];
    const deleted = once(4);
    tree.add(path, { deleted });
    same("new_edits=false", (await call("POST", "/_bulk_docs", {
      new_edits: false, docs: [{ _id: id, _rev: path[0], _revisions: { start: path.length, ids: path.map((rev) => rev.split("-")[1]) }, ...(deleted && { _deleted: true }), n: next(1000) }],
    })).json, []);
  }

  /** "Mapping of document ID to list of purged revisions"; "revisions that have already been purged and non-leaf revisions are ignored". */
  async function purge() {
    const asked = {};
    for (const id of new Set([`p${next(5)}`, `p${next(5)}`])) {
      const nodes = [...(documents.get(id)?.nodes.keys() ?? [])];
      asked[id] = [...new Set(Array.from({ length: 1 + next(3) }, () => (nodes.length > 0 && !once(5) ? pick(nodes) : nowhere())))];
    }
    // A leaf that becomes one as another of the list goes is none of those that were asked for: all are looked at together.
    const leaves = Object.fromEntries(Object.entries(asked).map(([id, revs]) => [id, revs.filter((rev) => documents.get(id)?.leaves().some((leaf) => leaf.rev === rev))]));
    const before = (await call("GET", "")).json;
    const { status, json } = await call("POST", "/_purge", asked);
    for (const [id, revs] of Object.entries(leaves)) {
      revs.forEach((rev) => documents.get(id).purge(rev));
      if (documents.get(id)?.nodes.size === 0) {
        documents.delete(id);
      }
    }
    const sorted = (lists) => Object.fromEntries(Object.entries(lists).map(([id, revs]) => [id, [...revs].sort()]));
    same(`_purge ${JSON.stringify(asked)}`, { status, purged: sorted(json.purged) }, { status: 201, purged: sorted(leaves) });
    const after = (await call("GET", "")).json;
    assert.ok(Number.parseInt(after.purge_seq, 10) > Number.parseInt(before.purge_seq, 10), "purge_seq is increased");
  }

  async function look() {
    const there = [...documents].filter(([, tree]) => !tree.winner().deleted);
    same("doc_count", (({ doc_count, doc_del_count }) => [doc_count, doc_del_count])((await call("GET", "")).json), [there.length, documents.size - there.length]);
    same("_all_docs", (await call("GET", "/_all_docs")).json.rows.map(({ id, value }) => [id, value.rev]), there.map(([id, tree]) => [id, tree.winner().rev]).sort());
    same("_changes", (await call("GET", "/_changes?style=all_docs")).json.results.map(({ id, changes }) => [id, changes[0].rev, changes.length]).sort(),
      [...documents].map(([id, tree]) => [id, tree.winner().rev, tree.leaves().length]).sort());
    for (const id of ["p0", "p1", "p2", "p3"]) {
      const { status, json } = await call("GET", `/${id}?open_revs=all&revs=true`);
      const tree = documents.get(id);
      const line = ({ _revisions: { start, ids } }) => ids.map((one, n) => `${start - n}-${one}`).join(" ");
      same(`the tree of ${id}`, status === 200 ? json.map(({ ok }) => line(ok)).sort() : status, tree ? tree.leaves().map(({ path }) => path.join(" ")).sort() : 404);
    }
  }

  /** "The maximum number of document revisions that will be tracked by CouchDB, even after compaction has occurred". */
  async function limit() {
    const most = 1 + next(5);
    same("_revs_limit", await call("PUT", "/_revs_limit", `${most}`).then(({ status, json }) => [status, json]), [200, { ok: true }]);
    same("_revs_limit", (await call("GET", "/_revs_limit")).json, most);
    const id = `l${hash()}`;
    let rev;
    for (let edits = 1; edits <= most + next(4); edits++) {
      rev = (await call("PUT", `/${id}`, { edits, ...(rev && { _rev: rev }) })).json.rev;
      const { json } = await call("GET", `/${id}?revs=true`);
      same(`the revisions after ${edits} edits with _revs_limit ${most}`, [json._revisions.start, json._revisions.ids.length], [edits, Math.min(edits, most)]);
    }
    const ids = Array.from({ length: most + 3 }, hash);
    await call("PUT", `/${id}r?new_edits=false`, { _revisions: { start: ids.length, ids }, _rev: `${ids.length}-${ids[0]}` });
    same(`the revisions taken in with _revs_limit ${most}`, (await call("GET", `/${id}r?revs=true`)).json._revisions, { start: ids.length, ids: ids.slice(0, most) });
    for (const one of [id, `${id}r`]) {
      await call("POST", "/_purge", { [one]: [(await call("GET", `/${one}`)).json._rev] });
    }
    same("_revs_limit", (await call("PUT", "/_revs_limit", "1000")).status, 200);
  }

  assert.equal((await call("PUT", "")).status, 201);
  for (let n = 0; n < 40; n++) {
    await pick([grow, grow, grow, purge, look])();
  }
  await look();
  await limit();
  return found;
}
