// Bodies in parts (RFC 2046), written and read.

/** @param parts {headers, body} each, body a text or bytes */
export function write(boundary, parts) {
  return Buffer.concat([
    ...parts.flatMap(({ headers, body }) => [
      Buffer.from(`--${boundary}\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`), Buffer.from(body), Buffer.from("\r\n"),
    ]),
    Buffer.from(`--${boundary}--`),
  ]);
}

/** {headers, body} of each part. */
export function read(type, bytes) {
  const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1];
  if (!boundary) {
    throw new Error(`No boundary in ${type}`);
  }
  const text = `\r\n${bytes.toString("latin1")}`.replace(/^\r\n\r\n/, "\r\n");
  const pieces = text.split(`\r\n--${boundary}`);
  if (pieces[0] !== "" || !pieces.at(-1).startsWith("--")) {
    throw new Error(`No parts between ${boundary}: ${text.slice(0, 200)}`);
  }
  return pieces.slice(1, -1).map((piece) => {
    const end = piece.indexOf("\r\n\r\n");
    const headers = Object.fromEntries(piece.slice(2, end).split("\r\n").map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]));
    return { headers, body: Buffer.from(piece.slice(end + 4), "latin1") };
  });
}

/** A document whose attachments follow, as the same document with them inside. */
export function document(type, bytes) {
  const [first, ...files] = read(type, bytes);
  const doc = JSON.parse(first.body);
  for (const [name, one] of Object.entries(doc._attachments ?? {})) {
    if (!one.follows) {
      continue;
    }
    const part = files.shift();
    const said = part.headers["content-disposition"] === `attachment; filename="${name}"` && part.headers["content-type"] === one.content_type
      && Number(part.headers["content-length"]) === part.body.length && one.length === part.body.length;
    if (!said) {
      throw new Error(`The part of ${name} says ${JSON.stringify(part.headers)}, and the document ${JSON.stringify(one)}.`);
    }
    delete one.follows;
    delete one.length;
    one.data = part.body.toString("base64");
  }
  if (files.length > 0) {
    throw new Error(`${files.length} parts too many.`);
  }
  return doc;
}

/** The list that open_revs gives as JSON. */
export const revisions = (type, bytes) => read(type, bytes).map(({ headers, body }) => {
  const kind = headers["content-type"];
  if (kind.startsWith("multipart/related")) {
    return { ok: document(kind, body) };
  }
  const json = JSON.parse(body);
  return kind.includes("error=\"true\"") ? json : { ok: json };
});
