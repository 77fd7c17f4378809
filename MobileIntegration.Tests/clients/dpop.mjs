// Registers an installation with a key that the npm package "dpop" makes and signs with, renews it, and tries what a thief of its id could.
// Usage: node dpop.mjs <address of the gateway or service> <access token> <installation id>; the registration is read from standard input.
import * as DPoP from "dpop";
import { text } from "node:stream/consumers";

const [address, token, id] = process.argv.slice(2);
const registration = await text(process.stdin);
const url = `${address}devices/${id}`;
const keys = await DPoP.generateKeyPair("ES256", { extractable: false });
const others = await DPoP.generateKeyPair("ES256");

async function put(proof) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", ...(proof && { dpop: proof }) };
  const response = await fetch(url, { method: "PUT", headers, body: registration });
  return { status: response.status, challenge: response.headers.get("www-authenticate"), body: await response.json() };
}

const proof = await DPoP.generateProof(keys, url, "PUT", undefined, token);
const first = await put(proof);
const replayed = await put(proof);
const renewed = await put(await DPoP.generateProof(keys, url, "PUT", undefined, token));
const unsigned = await put();
const other = await put(await DPoP.generateProof(others, url, "PUT", undefined, token));
console.log(JSON.stringify({ first, replayed, renewed, unsigned, other, thumbprint: await DPoP.calculateThumbprint(keys.publicKey) }));
