// A browser as far as the login and consent pages need one: cookies and forms. Returns the address of the client's redirect.
const decode = (text) => text.replace(/&(?:#x([0-9A-F]+)|quot|lt|gt|amp);/g, (entity, hex) =>
  hex ? String.fromCodePoint(parseInt(hex, 16)) : { "&quot;": '"', "&lt;": "<", "&gt;": ">", "&amp;": "&" }[entity]);

export async function logIn(address, username, password) {
  const cookies = new Map();
  let response = await fetch(address, { redirect: "manual" });
  for (let page = 0; page < 3; page++) {
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
      cookies.set(name, value);
    }
    if (response.headers.has("location")) {
      return new URL(response.headers.get("location"), address);
    }
    const html = await response.text();
    const fields = new URLSearchParams();
    for (const [, name, value] of html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)) {
      fields.set(decode(name), decode(value));
    }
    if (html.includes('type="password"')) {
      fields.set("username", username);
      fields.set("password", password);
    } else {
      fields.set("decision", "allow");
    }
    response = await fetch(new URL(decode(html.match(/<form method="post" action="([^"]*)"/)[1]), address), {
      method: "POST",
      body: fields,
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
      redirect: "manual",
    });
  }
  throw new Error(`No redirect from ${address}`);
}
