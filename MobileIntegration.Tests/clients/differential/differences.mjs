// Where express-pouchdb answers otherwise than CouchDB's documentation (https://docs.couchdb.org/en/stable/) says, and ours as it does.
// Each line makes of the other's answer what the documentation says; all else has to be the same.
//
// Calls that it lacks are made of calls that it has, beside the call ("theirs"): meta and deleted_conflicts (of open_revs), atts_since (of revpos), answers in parts (of JSON), _missing_revs (of _revs_diff),
// latest of several leaves (of the leaves), _bulk_get with errors and without a revision (of open_revs), ranges, HEAD and If-None-Match (of the whole), the answer of COPY (of a GET), filter=_design (of the feed),
// a selector in the body (in the query), _local_docs (of each), If-Match (in the query). What it has nothing of, _purge and _revs_limit, is in alone.mjs.
//
// Calls at which it writes where the documentation refuses would take the trees apart, so ours alone is asked (wrong.mjs): DELETE without a revision or of one that is old (409), an edit of a tombstone by another revision (409),
// DELETE of an attachment that is not there (404), PUT with both _rev and another rev (400), stubs of what only another document has (412), parts and reserved members that are malformed (400). It has an attachment put on a deleted
// document (404) where a new one may be made. Not said, and so not asked: a copy of a tombstone, inclusive_end with key, which of several leaves latest gives of a GET.

import { generationOf, trees } from "./world.mjs";

/** Without the revisions that stand in the document's tree. */
const absent = (answer) => Object.fromEntries(Object.entries(answer).map(([id, one]) => {
  const missing = (one.missing ?? one).filter((rev) => !trees.get(id)?.nodes.has(rev));
  return [id, one.missing ? { missing } : missing];
}).filter(([, one]) => (one.missing ?? one).length > 0));

export const differences = [
  {
    rule: "Attachments: revpos is the number of the revision when the attachment was added; of one that was copied it says the number that it had in the document before.",
    document: (doc, node) => ({ ...doc, _attachments: Object.fromEntries(Object.entries(doc._attachments).map(([name, one]) => [name, typeof node?.files[name] === "number" ? { ...one, revpos: node.files[name] } : one])) }),
  },
  {
    rule: "PUT /{db}/{docid}: ok, id and rev are told; with new_edits=false it tells an empty list.",
    kinds: ["growOne"], mend: ({ request: [, , doc], theirs }) => (theirs.status === 201 && theirs.json.length === 0 ? { ...theirs, json: { id: doc._id, ok: true, rev: doc._rev } } : undefined),
  },
  {
    rule: "GET /{db}/{docid}: _revs_info has the status of a revision that is available, deleted or missing; it knows no deleted ones.",
    kinds: ["get"], mend: ({ ours, theirs }) => (theirs.json?._revs_info && ours.json?._revs_info ? {
      ...theirs, json: { ...theirs.json, _revs_info: theirs.json._revs_info.map((one) => (one.status === "available" && trees.get(theirs.json._id).nodes.get(one.rev)?.deleted ? { ...one, status: "deleted" } : one)) },
    } : undefined),
  },
  {
    rule: "POST /{db}/_revs_diff, _missing_revs: the revisions that do not exist in the database are told; an ancestor whose body never came does exist in the tree, and it tells it as missing.",
    kinds: ["diff"], mend: ({ call, theirs }) => (theirs.status !== 200 ? undefined : { ...theirs, json: call.old ? { missing_revs: absent(theirs.json.missing_revs) } : absent(theirs.json) }),
  },
  {
    rule: "POST /{db}/_revs_diff: possible_ancestors are revisions that may be ancestors of those which are missing (of CouchDB: leaves of lower generations); it tells none.",
    kinds: ["diff"], mend: ({ call, theirs }) => (theirs.status !== 200 || call.old ? undefined : {
      ...theirs, json: Object.fromEntries(Object.entries(theirs.json).map(([id, { missing }]) => {
        const before = (trees.get(id)?.leaves() ?? []).map(({ rev }) => rev).filter((rev) => generationOf(rev) < Math.max(...missing.map(generationOf)));
        return [id, { missing, ...(before.length > 0 && { possible_ancestors: before.sort() }) }];
      })),
    }),
  },
  {
    rule: "POST /{db}/_find: of $ne the field is not equal to the argument (CouchDB: a field that is there); it finds what lacks the field too.",
    kinds: ["find"], mend: ({ request: [, , { selector }], theirs }) => (theirs.status === 200 && selector.n?.$ne !== undefined ? { ...theirs, json: { ...theirs.json, docs: theirs.json.docs.filter((doc) => "n" in doc) } } : undefined),
  },
  {
    rule: "GET /{db}/_design/{ddoc}/_view/{view}: offset is where the list started, so at most total_rows; it says what was to be skipped.",
    kinds: ["view"], mend: ({ theirs }) => (theirs.json?.offset > theirs.json?.total_rows ? { ...theirs, json: { ...theirs.json, offset: theirs.json.total_rows } } : undefined),
  },
  {
    rule: "POST /{db}/_find: warning is a text for people, that an index would help; it has others, at other times.",
    kinds: ["find", "sorted"], mend: ({ ours, theirs }) => (theirs.status !== 200 ? undefined : { ...theirs, json: { docs: theirs.json.docs, ...(typeof ours.json.warning === "string" && { warning: ours.json.warning }) } }),
  },
  {
    rule: "GET /{db}/_all_docs: a row has its document when include_docs asks for it; it has the document null of every one that is deleted.",
    kinds: ["keys", "keysInUrl"], mend: ({ call, theirs }) => (call.said.include_docs || theirs.status !== 200 ? undefined : {
      ...theirs, json: { ...theirs.json, rows: theirs.json.rows.map(({ doc, ...row }) => (doc === null && row.value.deleted ? row : { ...row, ...(doc !== undefined && { doc }) })) },
    }),
  },
  {
    rule: "GET /{db}/_all_docs: offset is where the list started; with keys it says 0 whatever is skipped.",
    kinds: ["keys"], mend: ({ call, theirs }) => (theirs.status === 200 ? { ...theirs, json: { ...theirs.json, offset: call.said.skip ?? 0 } } : undefined),
  },
];
