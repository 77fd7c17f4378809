// Requests that are wrong, with the status and the error that the documentation has for them. Nothing is written by them, which the other calls see.
// They are sent to ours alone: the other server takes many of them, or ends.
import { current, hash, isDeleted, pick, told, trees } from "./world.mjs";
import * as multipart from "./multipart.mjs";
import { json } from "./documents.mjs";

const json400 = { status: 400, error: "bad_request" };
const parts = (boundary, ...list) => [multipart.write("x", list), { "Content-Type": `multipart/related${boundary}` }];
const doc = (value) => ({ headers: { "Content-Type": "application/json" }, body: typeof value === "string" ? value : json(value) });
const file = (text) => ({ headers: { "Content-Type": "text/plain" }, body: text });
const follows = { _attachments: { f: { follows: true, content_type: "text/plain", length: 3 } } };

/** [request, answer] of each; <there> is a document that is there, with its revision. */
const wrong = (there, rev) => [
  // Ids: "Only reserved document ids may start with underscore".
  [["PUT", "/_wrong", {}], { status: 400, error: "illegal_docid" }],
  [["PUT", "/_design%2F", {}], { status: 400, error: "illegal_docid" }],
  [["POST", "", { _id: "_x" }], { status: 400, error: "illegal_docid" }],
  [["POST", "", { _id: 7 }], { status: 400, error: "illegal_docid" }],
  [["PUT", "/a", { _id: "b" }], json400],
  [["POST", "/_bulk_docs", { docs: [{ _id: "new-1" }, { _id: "_x" }] }], { status: 400, error: "illegal_docid" }],
  // Revisions: "400: The format of the request or revision was invalid".
  [["PUT", "/own-1", { _rev: "nonsense" }], json400],
  [["PUT", "/own-1?rev=1", {}], json400],
  [["PUT", `/${there}?rev=1-${hash()}`, { _rev: rev }], json400],
  [["PUT", `/${there}`, { _rev: rev }, { "If-Match": `"1-${hash()}"` }], json400],
  [["GET", `/${there}?rev=nonsense`], json400],
  [["GET", `/${there}?rev=-1-a`], json400],
  [["GET", `/${there}?open_revs=nonsense`], json400],
  [["GET", `/${there}?open_revs=%5B%22x%22%5D`], json400],
  [["GET", `/${there}?open_revs=%7B%7D`], json400],
  [["GET", `/${there}?atts_since=%5B1%5D`], json400],
  [["DELETE", `/${there}?rev=x`], json400],
  [["PUT", "/own-1?new_edits=false", { n: 1 }], json400],
  [["PUT", `/${there}?new_edits=false`, { _rev: `2-${hash()}`, _revisions: { start: 2, ids: [hash(), hash()] } }], { status: 400, error: "doc_validation" }],
  [["PUT", `/${there}?new_edits=false`, { _rev: "1-a", _revisions: { start: 1, ids: ["a", "b"] } }], { status: 400, error: "doc_validation" }],
  [["PUT", `/${there}?new_edits=false`, { _revisions: { start: "1", ids: ["a"] } }], { status: 400, error: "doc_validation" }],
  [["PUT", `/${there}?new_edits=maybe`, { n: 1 }], { status: 400, error: "query_parse_error" }],
  [["POST", "/_revs_diff", { [there]: ["x"] }], json400],
  [["POST", "/_revs_diff", { [there]: "1-a" }], json400],
  [["POST", "/_revs_diff", []], json400],
  [["POST", "/_missing_revs", { [there]: [1] }], json400],
  [["POST", "/_missing_revs", "{"], json400],
  [["POST", "/_purge", { [there]: "1-a" }], json400],
  [["POST", "/_purge", { [there]: ["x"] }], json400],
  [["POST", "/_purge", []], json400],
  // "You must supply the current (latest) revision": a deletion without one, or with an old one, is a conflict.
  [["DELETE", `/${there}`], { status: 409, error: "conflict" }],
  [["DELETE", `/${there}?rev=1-${hash()}`], { status: 409, error: "conflict" }],
  [["DELETE", `/none?rev=1-${hash()}`], { status: 404, error: "not_found" }],
  [["PUT", `/${there}`, { n: 1 }], { status: 409, error: "conflict" }],
  [["PUT", "/none", { _rev: `1-${hash()}` }], { status: 409, error: "conflict" }],
  // Attachments: "409: Document's revision wasn't specified or it's not the latest"; "404: ... attachment was not found".
  [["PUT", `/${there}/f`, "x", { "Content-Type": "text/plain" }], { status: 409, error: "conflict" }],
  [["PUT", `/${there}/f?rev=x`, "x", { "Content-Type": "text/plain" }], json400],
  [["PUT", `/${there}/_f?rev=${rev}`, "x", { "Content-Type": "text/plain" }], json400],
  [["PUT", `/none/f?rev=1-${hash()}`, "x", { "Content-Type": "text/plain" }], { status: 409, error: "conflict" }],
  [["DELETE", `/${there}/none?rev=${rev}`], { status: 404, error: "not_found" }],
  [["DELETE", "/none/f?rev=1-a"], { status: 404, error: "not_found" }],
  [["GET", `/${there}/none`], { status: 404, error: "not_found" }],
  [["PUT", `/${there}`, { _rev: rev, _attachments: { f9: { stub: true, digest: "md5-AAAAAAAAAAAAAAAAAAAAAA==" } } }], { status: 412, error: "missing_stub" }],
  [["PUT", `/${there}`, { _rev: rev, _attachments: { f: { data: "§" } } }], json400],
  [["PUT", `/${there}`, { _rev: rev, _attachments: [] }], json400],
  [["PUT", `/${there}`, { _rev: rev, _attachments: { _f: { data: "" } } }], json400],
  [["POST", "/_bulk_docs", { new_edits: false, docs: [{ _id: "new-2", _rev: "1-a", _attachments: { f: { stub: true } } }] }], { status: 201, rows: ["missing_stub"] }],
  // Bodies in parts.
  [["PUT", `/${there}?rev=${rev}`, ...parts("", doc(follows), file("abc"))], json400],
  [["PUT", `/${there}?rev=${rev}`, ...parts("; boundary=x", doc(follows))], json400],
  [["PUT", `/${there}?rev=${rev}`, ...parts("; boundary=x", doc(follows), file("ab"))], json400],
  [["PUT", `/${there}?rev=${rev}`, ...parts("; boundary=x", doc("{"), file("abc"))], json400],
  [["PUT", `/${there}?rev=${rev}`, ...parts("; boundary=other", doc(follows), file("abc"))], json400],
  [["PUT", `/${there}?rev=${rev}`, ...parts("; boundary=x")], json400],
  // COPY: "Destination: Must contain the target document ID".
  [["COPY", `/${there}`], json400],
  [["COPY", `/${there}`, undefined, { Destination: `${there}` }], { status: 409, error: "conflict" }],
  [["COPY", `/${there}`, undefined, { Destination: `${there}?rev=x` }], json400],
  [["COPY", `/${there}`, undefined, { Destination: "_x" }], { status: 400, error: "illegal_docid" }],
  [["COPY", "/none", undefined, { Destination: "new-3" }], { status: 404, error: "not_found" }],
  [["COPY", `/${there}?rev=9-${hash()}`, undefined, { Destination: "new-3" }], { status: 404, error: "not_found" }],
  // Bodies.
  [["PUT", "/own-1", "{\"a\":"], json400],
  [["PUT", "/own-1", []], json400],
  [["PUT", "/own-1", "7"], json400],
  [["PUT", "/own-1", { _unknown: 1 }], { status: 400, error: "doc_validation" }],
  [["PUT", "/own-1", { _deleted: "yes" }], { status: 400, error: "doc_validation" }],
  [["POST", "/_bulk_docs", {}], json400],
  [["POST", "/_bulk_docs", { docs: {} }], json400],
  [["POST", "/_bulk_docs", { docs: [1] }], json400],
  [["POST", "/_bulk_get", {}], json400],
  [["POST", "/_bulk_get", []], json400],
  [["POST", "/_bulk_get?rev=1-a", { docs: [] }], json400],
  [["POST", "/_bulk_get", { docs: [{ id: there, rev: "x" }, { rev: "1-a" }, 3, { id: "_x" }] }], { status: 200, errors: ["bad_request", "bad_request", "bad_request", "illegal_docid"] }],
  [["PUT", "/_revs_limit", "0"], json400],
  [["PUT", "/_revs_limit", "\"7\""], json400],
  [["PUT", "/_revs_limit", "{}"], json400],
  [["PUT", "/_revs_limit", "1.5"], json400],
  [["PUT", "/_local/l0", []], json400],
  [["GET", "/_local/none"], { status: 404, error: "not_found" }],
  [["PUT", "/_local/none/f", "x", { "Content-Type": "text/plain" }], json400],
  [["DELETE", "/_local/none?rev=0-1"], { status: 404, error: "not_found" }],
  // The feed: "style: main_only or all_docs", "feed" is one of four words, numbers are numbers, and booleans are.
  [["GET", "/_changes?style=other"], { status: 400, error: "query_parse_error" }],
  [["GET", "/_changes?feed=other"], json400],
  [["GET", "/_changes?limit=-1"], { status: 400, error: "query_parse_error" }],
  [["GET", "/_changes?limit=many"], { status: 400, error: "query_parse_error" }],
  [["GET", "/_changes?include_docs=1"], { status: 400, error: "query_parse_error" }],
  [["GET", "/_changes?since=nonsense"], json400],
  [["GET", "/_changes?filter=none/there"], { status: 404, error: "not_found" }],
  [["GET", "/_changes?filter=app/none"], { status: 404, error: "not_found" }],
  [["GET", "/_changes?filter=_doc_ids"], json400],
  [["POST", "/_changes?filter=_doc_ids", { doc_ids: "a" }], json400],
  [["POST", "/_changes?filter=_selector", {}], json400],
  [["POST", "/_changes?filter=_selector", { selector: { n: { $none: 1 } } }], { status: 400, error: "invalid_selector" }],
  [["GET", "/_changes?filter=_view"], json400],
  // Lists.
  [["GET", "/_all_docs?limit=-1"], { status: 400, error: "query_parse_error" }],
  [["GET", "/_all_docs?skip=x"], { status: 400, error: "query_parse_error" }],
  [["GET", "/_all_docs?descending=x"], { status: 400, error: "query_parse_error" }],
  [["GET", "/_all_docs?startkey=x"], json400],
  [["POST", "/_all_docs", { keys: "a" }], json400],
  [["POST", "/_all_docs", []], json400],
  [["POST", "/_find", { selector: 1 }], { status: 400, error: "invalid_selector" }],
  [["POST", "/_find", {}], { status: 400, error: "missing_required_key" }],
  [["GET", "/_design/app/_view/none"], { status: 404, error: "not_found" }],
  [["GET", "/_design/none/_view/n"], { status: 404, error: "not_found" }],
];

/** What of an answer is compared: the errors, also those in rows. */
function shown({ status, json: answer }, said) {
  const error = said.rows ? { rows: answer.map((row) => row.error) } : said.errors ? { errors: answer.results.flatMap(({ docs }) => docs.map((one) => one.error?.error)) } : { error: answer.error };
  return { status, json: { ...error, ...(status >= 400 && typeof answer.reason !== "string" && { reason: "none" }) } };
}

const call = ([request, { status, ...said }]) => ({
  both: () => request, exact: true,
  whole: async (ask, server) => (server === 1 ? { status, json: said } : shown(await ask(0, request), said)),
});
/** An edit of a document that is gone. */
const ofGone = (id) => [
  [["PUT", `/${id}`, { _rev: `1-${hash()}` }], { status: 409, error: "conflict" }],
  [["DELETE", `/${id}?rev=1-${hash()}`], { status: 404, error: "not_found" }],
  [["DELETE", `/${id}`], { status: 404, error: "not_found" }],
  [["GET", `/${id}`], { status: 404, error: "not_found" }],
  [["GET", `/${id}/f0`], { status: 404, error: "not_found" }],
  [["COPY", `/${id}`, undefined, { Destination: "new-4" }], { status: 404, error: "not_found" }],
];
const now = () => {
  const gone = [...trees.keys()].filter((id) => id.startsWith("own-") && isDeleted(id)).slice(0, 1).flatMap(ofGone);
  const there = [...trees.keys()].find((id) => id.startsWith("own-") && current(id));
  const one = there ?? "_design/app";
  return [...wrong(one, told(0, one, current(one))), ...gone];
};

export const refused = { wrong: () => call(pick(now())) };
/** Each of them once. */
export const allRefused = () => now().map(call);
