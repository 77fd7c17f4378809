// Logs in with the npm package "oauth4webapi", refreshes, loses an answer, reuses a token, revokes another.
// Usage: node oauth4webapi.mjs <issuer> <client id> <user> <password>; prints one JSON object.
import * as oauth from "oauth4webapi";
import { logIn } from "./browser.mjs";

const [issuer, client_id, username, password] = process.argv.slice(2);
const redirect_uri = "http://127.0.0.1:54545/callback";
const http = { [oauth.allowInsecureRequests]: true };
const server = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), http));
const client = { client_id };

async function authorize() {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const nonce = oauth.generateRandomNonce();
  const address = new URL(server.authorization_endpoint);
  address.search = new URLSearchParams({
    client_id, redirect_uri, state, nonce,
    response_type: "code",
    scope: "openid profile offline_access home",
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  const parameters = oauth.validateAuthResponse(server, client, await logIn(address, username, password), state);
  const response = await oauth.authorizationCodeGrantRequest(server, client, oauth.None(), parameters, redirect_uri, verifier, http);
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, { expectedNonce: nonce, requireIdToken: true });
  await oauth.validateApplicationLevelSignature(server, response, http);
  return tokens;
}

async function refresh(tokens) {
  const response = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), tokens.refresh_token, http);
  return oauth.processRefreshTokenResponse(server, client, response);
}

const errorOf = (attempt) => attempt.then(() => "none", (error) => error.error ?? String(error));

const first = await authorize();
const claims = oauth.getValidatedIdTokenClaims(first);
const userInfo = await oauth.processUserInfoResponse(
  server, client, claims.sub, await oauth.userInfoRequest(server, client, first.access_token, http));
const second = await refresh(first);
const again = await refresh(first);
const third = await refresh(second);
const reuse = await errorOf(refresh(first));
const afterReuse = await errorOf(refresh(third));

const other = await authorize();
await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, oauth.None(), other.refresh_token, http));
const afterRevocation = await errorOf(refresh(other));

console.log(JSON.stringify({
  idToken: claims,
  userInfo,
  refreshed: second.refresh_token !== first.refresh_token,
  sameSuccessor: again.refresh_token === second.refresh_token,
  reuse,
  afterReuse,
  afterRevocation,
}));
