// Random calls on attachments, and what HTTP itself has to say: HEAD, ETag, If-None-Match, Range.
import { any, attached, current, isDeleted, next, nowhere, once, own, pick, revision, told, trees } from "./world.mjs";
import { documents, file, query, texts } from "./documents.mjs";

/** RFC 9110, section 14.2, of one range of bytes; undefined for one that is none, which is ignored. */
function range(asked, length) {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(asked) ?? [];
  if (first === undefined || (first === "" && last === "") || (first !== "" && last !== "" && Number(last) < Number(first))) {
    return undefined;
  }
  const from = first === "" ? Math.max(0, length - Number(last)) : Number(first);
  const to = first === "" || last === "" ? length - 1 : Math.min(Number(last), length - 1);
  return from >= length ? { status: 416 } : { status: 206, from, to };
}

export const attachments = {
  attach() {
    const [id, name, text, type] = [own(), file(), pick(texts), pick(["text/plain", "application/x-thing"])];
    // Of a deleted document the other server says 404, where a document without attachments is created anew; and it takes any revision for one that is not there.
    const rev = current(id) && (once(4) ? nowhere() : current(id));
    const before = trees.get(id)?.winner()?.files ?? {};
    return isDeleted(id) ? documents.get()
      : { both: (server) => ["PUT", `/${id}/${name}${query({ rev: rev && told(server, id, rev) })}`, text, { "Content-Type": type }], writes: [{ id, files: { ...before, [name]: true } }] };
  },
  detach() {
    const [id, name] = [own(), file()];
    const { [name]: there, ...others } = trees.get(id)?.winner()?.files ?? {};
    // Without such an attachment the other server makes a revision all the same: see "alone".
    const rev = once(4) ? nowhere() : current(id);
    return there && current(id) ? { both: (server) => ["DELETE", `/${id}/${name}${query({ rev: told(server, id, rev) })}`], writes: [{ id, files: others }] } : documents.get();
  },
  /** Whole, a range of it, or what a client already has. */
  attached() {
    const { id, rev, name } = attached();
    const path = (server) => `/${id}/${name}${query({ rev: rev && told(server, id, rev) })}`;
    const method = once(4) ? "HEAD" : "GET";
    const asked = once(2) ? pick(["bytes=0-4", "bytes=5-", "bytes=-3", "bytes=-0", "bytes=2-2", "bytes=100-", "bytes=3-1000", "bytes=9-3", "bytes=x", "pages=1-2", "bytes="]) : undefined;
    const match = once(3) ? pick(["same", "weak", "list", "*", "other"]) : undefined;
    const tagged = (tag) => ({ same: tag, weak: `W/${tag}`, list: `"x", ${tag}`, "*": "*", other: "\"x\"" })[match];
    return {
      prepare: async (ask, server) => {
        const tag = match && server === 0 ? (await ask(0, ["GET", path(0)])).headers.get("etag") ?? "\"none\"" : "";
        return [method, path(server), undefined, { ...(asked && { Range: asked }), ...(match && server === 0 && { "If-None-Match": tagged(tag) }) }];
      },
      // It has neither ranges nor, of HEAD, the length.
      theirs: async (ask) => {
        const answer = await ask(["GET", path(1)]);
        if (answer.status !== 200) {
          return method === "HEAD" ? { status: answer.status, json: "" } : answer;
        }
        const [etag, type, whole] = [answer.headers.get("etag"), answer.headers.get("content-type").replace("; charset=utf-8", ""), answer.bytes];
        if (match && match !== "other") {
          return { status: 304, json: { etag, type: null, range: null, text: "" } };
        }
        const part = method === "GET" && asked ? range(asked, whole.length) : undefined;
        if (part?.status === 416) {
          return { status: 416, json: { range: `bytes */${whole.length}` } };
        }
        const bytes = part ? whole.subarray(part.from, part.to + 1) : whole;
        return { status: part?.status ?? 200, json: { etag, type, length: `${bytes.length}`, range: part ? `bytes ${part.from}-${part.to}/${whole.length}` : null, text: method === "HEAD" ? "" : bytes.toString() } };
      },
      read: ({ status, headers, bytes }, server) => (server === 1 || (status >= 400 && status !== 416) ? undefined
        : status === 416 ? { range: headers.get("content-range") }
          : {
            etag: headers.get("etag"), type: headers.get("content-type"), ...(status !== 304 && { length: headers.get("content-length") }), range: headers.get("content-range"), text: bytes.toString(),
          }),
      always: true,
    };
  },
  /** ETag: the revision in double quotes; 304 for who has it. */
  head() {
    const id = any();
    const rev = once(3) ? revision(id) : undefined;
    const method = once(2) ? "HEAD" : "GET";
    const match = once(2) ? pick(["same", "weak", "list", "*", "other"]) : undefined;
    const path = (server) => `/${id}${query({ rev: rev && told(server, id, rev) })}`;
    const tagged = (tag) => ({ same: tag, weak: `W/${tag}`, list: `"1-x", ${tag}`, "*": "*", other: "\"1-x\"" })[match];
    return {
      prepare: async (ask, server) => [method, path(server), undefined, match && server === 0 ? { "If-None-Match": tagged(`"${(await ask(0, ["GET", path(0)])).json._rev}"`) } : {}],
      theirs: async (ask) => {
        const answer = await ask(["GET", path(1)]);
        const failed = answer.status !== 200;
        const same = match && match !== "other";
        return { status: failed ? answer.status : same ? 304 : 200, json: failed ? (method === "HEAD" ? "" : answer.json) : { tag: answer.json._rev, doc: same || method === "HEAD" ? "" : answer.json } };
      },
      read: ({ status, headers, json }, server) => (server === 1 || status >= 400 ? json : { tag: /^"(.*)"$/.exec(headers.get("etag"))?.[1], doc: json }),
      always: true, id,
    };
  },
  database() {
    const method = pick(["GET", "HEAD"]);
    return { both: () => [method, ""], read: ({ json }) => (method === "HEAD" ? json : { db_name: json.db_name, doc_count: json.doc_count }) };
  },
};
