// The answers of two servers, each without what is its own affair: the names of its own revisions, sequences, and the order of what has none.
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { known, trees } from "./world.mjs";
import { differences } from "./differences.mjs";

const revisionText = /^\d+-[0-9a-f]{32}$/;
const byId = (one, two) => (one.id === two.id ? (JSON.stringify(one) < JSON.stringify(two) ? -1 : 1) : one.id < two.id ? -1 : 1);

function plain(value, server, id) {
  if (Array.isArray(value)) {
    const list = value.map((one) => plain(one, server, id));
    // Leaves of a document come in no order.
    return list.some((one) => one?.ok || one?.missing || one?.error?.rev) ? list.sort((one, two) => (JSON.stringify(one) < JSON.stringify(two) ? -1 : 1)) : list;
  }
  if (typeof value === "string") {
    return revisionText.test(value) ? known(server, id, value) : value;
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  id = value.id ?? value._id ?? value.ok?._id ?? id;
  if (value._id === "_design/fields") {
    // How an index is written down is not said.
    return { _id: value._id };
  }
  if (typeof value.error === "string") {
    // Each has words of its own for it, and more of them.
    const { reason, name, message, status, docId, ...failure } = value;
    value = failure;
  }
  if (server === 1 && value._attachments) {
    value = differences.filter(({ document }) => document).reduce((doc, { document }) => document(doc, trees.get(id)?.nodes.get(known(1, id, doc._rev))), value);
  }
  const members = Object.entries(value).sort(([one], [two]) => (one < two ? -1 : 1)).map(([key, one]) => {
    switch (key) {
      // A number there, a text with a number here; null where it is not worked out.
      case "seq": case "last_seq": case "update_seq": return [key, one === null ? null : "a sequence"];
      // Only ours says it; "pages" looks at it.
      case "pending": case "bookmark": return undefined;
      case "_revisions": return [key, { start: one.start, ids: one.ids.map((hash, n) => known(server, id, `${one.start - n}-${hash}`).split("-")[1]) }];
      case "_conflicts": case "_deleted_conflicts": case "possible_ancestors": case "missing": return [key, Array.isArray(one) ? plain(one, server, id).sort() : plain(one, server, id)];
      case "changes": {
        const leaves = plain(one, server, id);
        // As of CouchDB the winner comes first; of the other's no order is known.
        const first = server === 1 || leaves[0].rev === trees.get(id).winner().rev;
        return [key, [...leaves.sort((a, b) => (a.rev < b.rev ? -1 : 1)), ...(first ? [] : ["the winner is not the first"])]];
      }
      default: return [key, plain(one, server, trees.has(key) ? key : id)];
    }
  });
  return Object.fromEntries(members.filter(Boolean));
}

/** Documents of one request stand among each other as they like; all others in the order of the calls that wrote them. */
function order(results, cut) {
  const call = ({ id }) => trees.get(id)?.changed;
  const runs = [];
  for (const row of results) {
    const run = runs.at(-1);
    run && call(run[0]) === call(row) ? run.push(row) : runs.push([row]);
  }
  if (cut && results.length >= cut) {
    // The limit may end in the middle of such a request.
    runs[runs.length - 1] = runs.at(-1).map(() => ({ id: "one of the last" }));
  }
  return runs.flatMap((run) => run.sort(byId));
}

function shown(call, { status, json }, server) {
  if (call.exact) {
    return { status, json };
  }
  if ([400, 415, 416].includes(status) && !(call.always && status === 416)) {
    // What is wrong with a request has a reason in words of each server's own; "wrong" looks at the names.
    return { status };
  }
  if (status >= 400 && !(call.always && status === 416)) {
    return { status, error: json?.error ?? json };
  }
  const read = plain(json, server, call.id);
  if (Array.isArray(read?.results) && read.results[0]?.docs) {
    // Which documents stand first in an answer of _bulk_get is not said, nor whether a document comes once or with each revision.
    read.results = [...new Set(read.results.flatMap(({ id, docs }) => docs.map((doc) => JSON.stringify({ id, doc }))))].sort().map((one) => JSON.parse(one));
  } else if (Array.isArray(read?.results)) {
    read.results = order(read.results, call.cut);
    if (call.noSeq) {
      read.results.forEach((row) => { delete row.seq; });
    }
  }
  if (call.unordered && read?.docs) {
    read.docs.sort((one, two) => (one._id < two._id ? -1 : 1));
  }
  return { status, json: read };
}

/** What is different and not meant; false when nothing is. */
export function differs(kind, call, request, ours, theirs, used) {
  if (theirs.status === 0) {
    return false;
  }
  let [one, two] = [ours, theirs].map((answer, server) => shown(call, answer, server));
  for (const rule of differences.filter(({ kinds }) => kinds?.includes(kind))) {
    const mended = rule.mend({ call, request, ours: one, theirs: two });
    if (mended && !isDeepStrictEqual(mended, two)) {
      used.add(rule);
      two = mended;
    }
  }
  try {
    assert.deepEqual(one, two);
    return false;
  } catch (error) {
    return error.message;
  }
}
