// Holds a request of projects.messages.send against the types that Google generates from its own description of the API (@googleapis/fcm): each member has to be
// there, and to be of its type. The body is read from standard input; prints "ok", or what does not fit.
import fs from "node:fs";
import { createRequire } from "node:module";

const types = fs.readFileSync(createRequire(import.meta.url).resolve("@googleapis/fcm/build/v1.d.ts"), "utf8");
const schemas = {};
for (const [, name, body] of types.matchAll(/interface Schema\$(\w+) \{([\s\S]*?)\n {4}\}/g)) {
  const fields = body.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\s+/g, " ");
  schemas[name] = Object.fromEntries([...fields.matchAll(/(\w+)\?: (\{[^}]*\}[^;]*|[^;]*);/g)].map(([, field, type]) => [field, type]));
}
const wrong = [];
function check(value, type, path) {
  const schema = /^Schema\$(\w+)$/.exec(type.trim());
  if (schema) {
    for (const [name, member] of Object.entries(value)) {
      const expected = schemas[schema[1]]?.[name];
      if (expected === undefined) wrong.push(`${path}.${name} is not in ${schema[1]}`);
      else check(member, expected, `${path}.${name}`);
    }
  } else if (/^boolean/.test(type)) {
    if (typeof value !== "boolean") wrong.push(`${path} is no boolean`);
  } else if (/^string\[\]/.test(type)) {
    if (!Array.isArray(value) || value.some((one) => typeof one !== "string")) wrong.push(`${path} is no list of strings`);
  } else if (/^string/.test(type)) {
    if (typeof value !== "string") wrong.push(`${path} is no string`);
  } else if (/^number/.test(type)) {
    if (typeof value !== "number") wrong.push(`${path} is no number`);
  } else if (/\[key: string\]: string/.test(type)) {
    for (const [name, member] of Object.entries(value)) if (typeof member !== "string") wrong.push(`${path}.${name} is no string`);
  } else if (/\[key: string\]: any/.test(type)) {
    if (typeof value !== "object") wrong.push(`${path} is no object`);
  } else wrong.push(`${path}: type ${type} is not known here`);
}
check(JSON.parse(fs.readFileSync(0, "utf8")), "Schema$SendMessageRequest", "request");
console.log(wrong.length === 0 && Object.keys(schemas.Message ?? {}).length > 5 ? "ok" : wrong.join("; "));
