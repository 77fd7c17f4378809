// A push service that checks VAPID and decrypts (web-push-testing), on this machine only.
// Usage: node web-push-testing.mjs <port>
import net from "node:net";
import { createRequire } from "node:module";

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  return typeof port === "number" ? listen.call(this, port, "127.0.0.1", ...rest) : listen.call(this, port, ...rest);
};
const require = createRequire(import.meta.url);
const { PushApiModel } = require("web-push-testing/src/PushApiModel.js");
const WebPushTestingServer = require("web-push-testing/src/server.js");
new WebPushTestingServer(new PushApiModel(), Number(process.argv[2])).startServer();
