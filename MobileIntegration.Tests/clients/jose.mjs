// Checks a signed decision with the npm package "jose" and the keys at a JWK set address, then again without the network, and a forged one.
// Usage: node jose.mjs <address of the keys> <issuer> <audience> <jwt>; prints one JSON object.
import * as jose from "jose";

const [address, issuer, audience, jwt] = process.argv.slice(2);
const demands = { issuer, audience, typ: "app-decision+jwt", algorithms: ["ES256"] };
const keys = await (await fetch(address)).json();
const { payload, protectedHeader } = await jose.jwtVerify(jwt, jose.createRemoteJWKSet(new URL(address)), demands);
const offline = await jose.jwtVerify(jwt, jose.createLocalJWKSet(keys), demands);

const [header, body, signature] = jwt.split(".");
const claims = JSON.parse(Buffer.from(body, "base64url"));
const forged = [header, Buffer.from(JSON.stringify({ ...claims, action: "allow" })).toString("base64url"), signature].join(".");
const refusal = await jose.jwtVerify(forged, jose.createLocalJWKSet(keys), demands).then(() => null, (error) => error.code);
const expired = await jose
  .jwtVerify(jwt, jose.createLocalJWKSet(keys), { ...demands, currentDate: new Date((payload.exp + 1) * 1000) })
  .then(() => null, (error) => error.code);

const thumbprints = await Promise.all(keys.keys.map((key) => jose.calculateJwkThumbprint(key)));
console.log(JSON.stringify({
  payload, kid: protectedHeader.kid, offline: offline.payload.action, refusal, expired, kidIsThumbprint: thumbprints.includes(protectedHeader.kid),
  privateParts: keys.keys.some((key) => "d" in key),
}));
