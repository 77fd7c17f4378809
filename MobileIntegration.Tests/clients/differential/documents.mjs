// Random calls on one document or a few. Each kind gives
//   both(server): the request; theirs(ask): what to ask the other server instead where it lacks the call, with the answer that the documentation makes of it;
//   read(answer, server): what is compared of an answer that succeeded, when it is not the JSON;
//   writes: the edits, in the order of the answer's rows.
import * as multipart from "./multipart.mjs";
import { any, attached, current, edited, generationOf, grown, hash, isDeleted, next, nowhere, once, own, pick, revision, some, told, treeOf, trees } from "./world.mjs";

const texts = ["", "a", "text", "é\u2028x", "0123456789abcdefghij"];
const file = () => `f${next(2)}`;
const inline = (text) => ({ content_type: pick(["text/plain", "application/x-thing"]), data: Buffer.from(text).toString("base64") });
const query = (parts) => { const all = Object.entries(parts).filter(([, one]) => one !== undefined && one !== false); return all.length > 0 ? `?${new URLSearchParams(all)}` : ""; };
const json = (value) => JSON.stringify(value);
/** The attachments' content goes into the tree as its names alone: whether a stub may name it. */
const names = (attachments = {}) => Object.fromEntries(Object.keys(attachments).map((name) => [name, true]));

function growth(id) {
  const tree = treeOf(id);
  const nodes = [...tree.nodes.values()];
  const parent = nodes.length > 0 && !once(4) ? pick(nodes) : undefined;
  const fresh = Array.from({ length: 1 + next(3) }, hash);
  const start = (parent ? generationOf(parent.rev) : 0) + fresh.length;
  const path = [...fresh.map((one, n) => `${start - n}-${one}`), ...(parent?.path ?? [])];
  const deleted = once(4);
  // The other server drops what a tombstone has attached.
  const data = deleted || once(2) ? {} : Object.fromEntries([[file(), inline(pick(texts))]]);
  // A stub names what the parent has: as of the parent's own body.
  const kept = deleted || !parent?.body ? {} : Object.fromEntries(Object.entries(parent.files).filter(([name]) => !data[name]));
  const attachments = { ...kept, ...data };
  const has = Object.keys(attachments).length > 0;
  return { path, deleted, kept: Object.keys(kept), parent: parent?.rev, doc: {
    _id: id, _rev: path[0], _revisions: { start, ids: path.map((rev) => rev.split("-")[1]) }, n: next(1000), ...(deleted && { _deleted: true }), ...(has && { _attachments: attachments }),
  } };
}
/** A stub as the other peer would send it: what the parent says of it, asked of that server. */
const stubs = async (ask, server, one) => {
  if (one.kept.length === 0) {
    return one.doc;
  }
  const { json: parent } = await ask(server, ["GET", `/${one.doc._id}?rev=${one.parent}`]);
  return { ...one.doc, _attachments: Object.fromEntries(Object.entries(one.doc._attachments).map(([name, value]) => [name, one.kept.includes(name) ? parent._attachments[name] : value])) };
};
/** latest "forces retrieving latest leaf revision, no matter what rev was requested": where there are several, all are latest. The other server gives one of them, and fails, out of any request, at what it does not know. */
const newest = (id, revs) => [...new Set(revs.flatMap((rev) => {
  const leaves = trees.get(id)?.leavesUnder(rev) ?? [];
  return leaves.length > 0 ? leaves.map((leaf) => leaf.rev) : [rev];
}))];
/** Of what was copied the other server says where it stood before. */
const revposOf = (id, rev, name, { revpos }) => {
  const file = (rev ? trees.get(id).nodes.get(rev) : trees.get(id).winner()).files[name];
  return typeof file === "number" ? file : revpos;
};
const grow = (call, grows) => {
  for (const { doc, path, deleted } of grows) {
    const tree = treeOf(doc._id);
    if (tree.add(path, { deleted, files: names(doc._attachments) })) {
      tree.changed = call;
    }
  }
};

export const documents = {
  grow() {
    // Each document once: the other server can lose the winner of two revisions in one request.
    const grows = [...new Set(Array.from({ length: 1 + next(3) }, grown))].map(growth);
    const again = once(6);
    return {
      prepare: async (ask, server) => ["POST", "/_bulk_docs", { docs: await Promise.all(grows.map((one) => stubs(ask, server, one))), new_edits: false }],
      times: again ? 2 : 1, done: (call) => grow(call, grows),
    };
  },
  growOne() {
    const one = growth(grown());
    return { prepare: async (ask, server) => ["PUT", `/${one.doc._id}?new_edits=false`, await stubs(ask, server, one)], done: (call) => grow(call, [one]) };
  },
  put() {
    // Over a tombstone the other server takes any revision; that is an update conflict.
    const [id, kind] = [own(), next(4)];
    const doc = { n: next(1000), text: "é\u2028x", ...(once(4) && { _attachments: { [file()]: inline(pick(texts)) } }) };
    const rev = kind === 0 ? undefined : kind === 1 && !isDeleted(id) ? nowhere() : current(id);
    const place = next(4);
    const written = (server) => {
      const named = rev && told(server, id, rev);
      // It does not read If-Match.
      const header = place === 1 && server === 0;
      return ["PUT", `/${id}${named && (place === 0 || (place === 1 && !header)) ? `?rev=${named}` : ""}`, { ...doc, ...(named && place > 1 && { _rev: named }) }, named && header ? { "If-Match": `"${named}"` } : {}];
    };
    return { both: written, writes: [{ id, files: names(doc._attachments) }] };
  },
  putParts() {
    const [id, name, content] = [own(), file(), inline(pick(texts))];
    const doc = { n: next(1000), _attachments: { [name]: content } };
    const rev = current(id);
    const follows = { content_type: content.content_type, length: Buffer.from(content.data, "base64").length, follows: true };
    const boundary = pick(["x", "\"a b\"", "\"----=_1\""]);
    return {
      both: (server) => {
        const sent = { ...doc, ...(rev && { _rev: told(server, id, rev) }) };
        return server === 1 ? ["PUT", `/${id}`, sent] : ["PUT", `/${id}`, multipart.write(boundary.replaceAll("\"", ""), [
          { headers: { "Content-Type": "application/json" }, body: json({ ...sent, _attachments: { [name]: follows } }) },
          { headers: { "Content-Disposition": `attachment; filename="${name}"`, "Content-Type": content.content_type }, body: Buffer.from(content.data, "base64") },
        ]), { "Content-Type": `multipart/related; boundary=${boundary}` }];
      },
      writes: [{ id, files: names(doc._attachments) }],
    };
  },
  post() {
    const [id, n] = [own(), next(1000)];
    const rev = once(3) ? undefined : current(id);
    return { both: (server) => ["POST", "", { _id: id, n, ...(rev && { _rev: told(server, id, rev) }) }], writes: [{ id }] };
  },
  /** An edit of any leaf. Leaves of the same generation are ordered by their hashes, which each server makes: there is none besides. */
  edit() {
    const [id, tree] = pick([...trees.entries()].filter(([one]) => one.startsWith("tree-")).concat([["none", treeOf("none")]]));
    const leaves = tree.leaves();
    const leaf = leaves.filter((one) => !one.deleted && !leaves.some((other) => generationOf(other.rev) === generationOf(one.rev) + 1)).at(0);
    if (!leaf) {
      return documents.get();
    }
    const [remove, keep, n] = [once(3), once(2) && !leaf.deleted && leaf.body, next(1000)];
    return {
      prepare: async (ask, server) => {
        const rev = told(server, id, leaf.rev);
        const { _attachments } = keep ? (await ask(server, ["GET", `/${id}?rev=${rev}`])).json : {};
        return remove ? ["DELETE", `/${id}?rev=${rev}`] : ["PUT", `/${id}`, { _rev: rev, n, ...(_attachments && { _attachments }) }];
      },
      writes: [{ id, parent: leaf.rev, deleted: remove, files: keep && !remove ? leaf.files : {} }],
    };
  },
  remove() {
    // Without a revision: see "alone".
    const id = own();
    const rev = current(id) ?? (isDeleted(id) ? undefined : nowhere());
    return rev ? { both: (server) => ["DELETE", `/${id}?rev=${told(server, id, rev)}`], writes: [{ id, deleted: true }] } : documents.get();
  },
  bulk() {
    const docs = [...new Set(Array.from({ length: 4 }, own))].map((id) => ({ id, n: next(1000), remove: once(6), rev: once(3) ? undefined : current(id) }));
    return {
      both: (server) => ["POST", "/_bulk_docs", { docs: docs.map(({ id, n, remove, rev }) => ({ _id: id, n, ...(rev && { _rev: told(server, id, rev), ...(remove && { _deleted: true }) }) })) }],
      writes: docs.map(({ id, remove, rev }) => ({ id, deleted: Boolean(rev) && remove })),
    };
  },
  get() {
    const id = any();
    const rev = once(2) ? undefined : revision(id);
    const flags = some(["revs", "revs_info", "conflicts", "deleted_conflicts", "meta", "local_seq", "attachments"]);
    const has = (name) => flags.includes(name);
    // Of several that are latest it is not said which one comes.
    const latest = rev && trees.get(id)?.leavesUnder(rev).length === 1 && once(3);
    const all = (server, extra) => ["GET", `/${id}${query({ rev: rev && told(server, id, rev), latest, ...Object.fromEntries(extra.map((name) => [name, true])) })}`];
    return {
      kind: "get", both: (server) => all(server, flags),
      theirs: async (ask) => {
        const asked = flags.filter((name) => !["meta", "deleted_conflicts"].includes(name));
        const answer = await ask(all(1, [...new Set([...asked, ...(has("meta") ? ["conflicts", "revs_info"] : [])])]));
        if (answer.status === 200 && has("local_seq")) {
          answer.json._local_seq = "a number";
        }
        if (answer.status === 200 && (has("meta") || has("deleted_conflicts"))) {
          const { json: leaves } = await ask(["GET", `/${id}?open_revs=all`]);
          const winner = trees.get(id).winner().rev;
          const gone = leaves.filter(({ ok }) => ok._deleted && ok._rev !== told(1, id, winner)).map(({ ok }) => ok._rev);
          return gone.length === 0 ? answer : { ...answer, json: { ...answer.json, _deleted_conflicts: gone } };
        }
        return answer;
      },
      read: ({ json: doc }) => (typeof doc._local_seq === "number" ? { ...doc, _local_seq: "a number" } : doc),
    };
  },
  /** Attachments that came after revisions which the client has; in parts or inside. */
  getAttachments() {
    const { id, rev } = attached();
    const since = once(2) ? Array.from({ length: 1 + next(2) }, () => revision(id)) : undefined;
    const parts = once(2);
    const path = (server, more) => `/${id}${query({ rev: rev && told(server, id, rev), ...more })}`;
    return {
      both: (server) => ["GET", path(server, { attachments: since ? undefined : true, atts_since: since && json(since.map((one) => told(server, id, one))) }), undefined, parts ? { Accept: "multipart/related, application/json" } : {}],
      theirs: async (ask) => {
        const answer = await ask(["GET", path(1, { attachments: true })]);
        const { json: whole } = await ask(["GET", path(1, {})]);
        const line = trees.get(id)?.nodes.get(rev ?? trees.get(id).winner()?.rev)?.path ?? [];
        const known = Math.max(0, ...(since ?? []).filter((one) => line.includes(one)).map(generationOf));
        for (const [name, one] of Object.entries(answer.json._attachments ?? {})) {
          if (revposOf(id, rev, name, one) <= known) {
            answer.json._attachments[name] = whole._attachments[name];
          }
        }
        return answer;
      },
      read: ({ headers, bytes, json: doc }, server) => (server === 0 && headers.get("content-type").startsWith("multipart/related") ? multipart.document(headers.get("content-type"), bytes) : doc),
    };
  },
  openRevs() {
    const id = any();
    const revs = once(3) ? undefined : [...new Set(Array.from({ length: 1 + next(3) }, () => revision(id)))];
    const latest = revs && once(2);
    const [flags, parts] = [some(["revs", "attachments"]), once(2)];
    const asked = (server, list, more) => ["GET", `/${id}${query({ open_revs: list ? json(list.map((rev) => told(server, id, rev))) : "all", ...more, ...Object.fromEntries(flags.map((name) => [name, true])) })}`,
      undefined, parts && server === 0 ? { Accept: "multipart/mixed" } : {}];
    return {
      both: (server) => asked(server, revs, { latest }),
      theirs: (ask) => ask(asked(1, latest ? newest(id, revs) : revs)),
      read: ({ headers, bytes, json: list }, server) => (server === 0 && parts && headers.get("content-type").startsWith("multipart/mixed") ? multipart.revisions(headers.get("content-type"), bytes) : list),
    };
  },
  bulkGet() {
    const docs = Array.from({ length: 1 + next(4) }, any).map((id) => ({ id, rev: once(4) ? undefined : revision(id) }));
    const latest = once(2);
    const flags = Object.fromEntries(some(["revs", "attachments"]).map((name) => [name, true]));
    const parts = once(3);
    const asked = (server) => ["POST", `/_bulk_get${query({ ...flags, latest })}`, { docs: docs.map(({ id, rev }) => ({ id, ...(rev && { rev: told(server, id, rev) }) })) }];
    return {
      both: (server) => [...asked(server), parts && server === 0 ? { Accept: "multipart/mixed" } : {}],
      // It writes its errors as open_revs does, and gives the winner alone where no revision is named: each is asked for by itself.
      theirs: async (ask) => {
        const results = [];
        for (const { id, rev } of docs) {
          const { status, json: list } = await ask(["GET", `/${id}${query({ open_revs: rev ? json((latest ? newest(id, [rev]) : [rev]).map((one) => told(1, id, one))) : "all", ...flags })}`]);
          if (status === 0) {
            return { status };
          }
          const missing = { error: { id, rev: rev ? told(1, id, rev) : "undefined", error: "not_found" } };
          results.push({ id, docs: status === 404 ? [missing] : list.map((one) => (one.ok ? one : missing)) });
        }
        return { status: 200, json: parts ? results.flatMap((result) => result.docs) : { results } };
      },
      read: ({ headers, bytes, json: list }, server) => {
        if (server === 1 || !parts) {
          return list;
        }
        const found = multipart.revisions(headers.get("content-type"), bytes);
        return found.map((one) => (one.ok ? one : { error: one }));
      },
    };
  },
  diff() {
    const ids = [...new Set(Array.from({ length: 3 }, any))].map((id) => [id, [...new Set(Array.from({ length: 1 + next(2) }, () => revision(id)))]]);
    const asked = (server) => Object.fromEntries(ids.map(([id, revs]) => [id, revs.map((rev) => told(server, id, rev))]));
    const old = once(3);
    return {
      both: (server) => ["POST", old ? "/_missing_revs" : "/_revs_diff", asked(server)],
      theirs: async (ask) => {
        const answer = await ask(["POST", "/_revs_diff", asked(1)]);
        return !old || answer.status !== 200 ? answer : { ...answer, json: { missing_revs: Object.fromEntries(Object.entries(answer.json).map(([id, { missing }]) => [id, missing])) } };
      },
      old,
    };
  },
  copy() {
    const [from, to] = [any(), once(12) ? undefined : own()];
    const kind = next(3);
    const rev = to && (kind === 0 ? undefined : kind === 1 && !isDeleted(to) ? nowhere() : current(to));
    const chosen = once(4) ? revision(from) : undefined;
    // What a copy of a tombstone is, is not said.
    const source = trees.get(from)?.nodes.get(chosen)?.deleted ? undefined : chosen;
    const node = trees.get(from)?.nodes.get(source ?? current(from));
    const request = (server) => ["COPY", `/${from}${query({ rev: source && told(server, from, source) })}`, undefined, to ? { Destination: `${to}${rev ? `?rev=${told(server, to, rev)}` : ""}` } : {}];
    return {
      both: request,
      // It says that it is done, and no more.
      theirs: async (ask) => {
        const [method, path, ...rest] = request(1);
        const answer = await ask([method, path.replace("_design/", "_design%2F"), ...rest]);
        return answer.status === 201 ? { ...answer, json: { ok: true, id: to, rev: (await ask(["GET", `/${to}`])).json._rev } } : answer;
      },
      writes: to ? [{ id: to, files: Object.fromEntries(Object.keys(node?.files ?? {}).map((name) => [name, "copied"])) }] : [],
    };
  },
  local() {
    const id = `_local/l${next(3)}`;
    const kind = next(6);
    const rev = async (ask, server) => { const { status, json: doc } = await ask(server, ["GET", `/${id}`]); return status === 200 ? doc._rev : undefined; };
    return {
      prepare: async (ask, server) => {
        const named = await rev(ask, server);
        return kind < 3 ? ["GET", `/${id}`]
          : kind === 3 ? ["PUT", `/${id}`, { n: 1, ...(named && once(4) && { _rev: "0-999" }) }]
            : kind === 4 ? ["PUT", `/${id}`, { n: 2, ...(named && { _rev: named }) }]
              : named ? ["DELETE", `/${id}?rev=${named}`] : ["DELETE", `/${id}?rev=0-1`];
      },
    };
  },
  /** It has no such list: each is asked for. */
  locals() {
    const docs = once(2);
    return {
      both: () => ["GET", `/_local_docs${query({ include_docs: docs })}`],
      theirs: async (ask) => {
        const found = (await Promise.all([0, 1, 2].map((n) => ask(["GET", `/_local/l${n}`])))).filter(({ status }) => status === 200).map(({ json: doc }) => doc);
        return { status: 200, json: { total_rows: null, offset: null, rows: found.map((doc) => ({ id: doc._id, key: doc._id, value: { rev: doc._rev }, ...(docs && { doc }) })) } };
      },
    };
  },
};

export { edited, file, inline, json, names, query, texts };
