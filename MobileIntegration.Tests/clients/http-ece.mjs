// Decrypts a Web Push message (http_ece).
// Usage: node http-ece.mjs '{"body": base64, "key": base64 of the private scalar, "auth": base64url}'; prints the text.
import crypto from "node:crypto";
import ece from "http_ece";

const { body, key, auth } = JSON.parse(process.argv[2]);
const device = crypto.createECDH("prime256v1");
device.setPrivateKey(Buffer.from(key, "base64"));
console.log(ece.decrypt(Buffer.from(body, "base64"), { version: "aes128gcm", privateKey: device, authSecret: Buffer.from(auth, "base64url") }).toString("utf8"));
