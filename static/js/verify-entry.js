// "Verify this now" on the page of an entry: what the entry says, up to the signature by a key that the reader brings.
// Only WebCrypto and what is shown on the page; nothing is sent anywhere. See docs/ledger-format.md, "The tree" and "Heads".

const bytesOf = (text) => new TextEncoder().encode(text);
const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(parts)));
const same = (one, other) => one.length === other.length && one.every((byte, place) => byte === other[place]);
const KEPT = "gatehouse-ledger-key";
const ED25519 = 1;

class Unverified extends Error {}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

function fromBase64(text, what) {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Unverified(`${what} is not base64.`);
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw new Unverified(`${what} is not base64.`);
  }
}

// ---- The three things to read: the proof file, the checkpoint inside it, the key

const isCount = (digits) => /^(0|[1-9][0-9]{0,15})$/.test(digits) && Number.isSafeInteger(Number(digits));

function readProof(text) {
  const split = text.indexOf("\n\n");
  const lines = text.slice(0, split).split("\n");
  const index = /^index ([0-9]+)$/.exec(lines[1] ?? "");
  if (split < 0 || lines[0] !== "c2sp.org/tlog-proof@v1" || !index || !isCount(index[1])) throw new Unverified("The proof file is damaged.");
  const path = lines.slice(2).map((line) => fromBase64(line, "A hash of the path"));
  return { index: Number(index[1]), path, checkpoint: readCheckpoint(text.slice(split + 2)) };
}

function readCheckpoint(note) {
  const split = note.indexOf("\n\n");
  const text = note.slice(0, split + 1);
  const [origin, size, root] = text.split("\n");
  if (split < 0 || !origin || !isCount(size ?? "")) throw new Unverified("The checkpoint is damaged.");
  const signatures = note
    .slice(split + 2)
    .split("\n")
    .map((line) => /^— (\S+) (\S+)$/.exec(line))
    .filter(Boolean)
    .map(([, name, said]) => ({ name, said: fromBase64(said, "A signature") }));
  return { text, origin, size: Number(size), root: fromBase64(root, "The root"), signatures };
}

async function readKey(text) {
  const found = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text.trim());
  if (!found) throw new Unverified("That is not a public key of a ledger: it looks like name+1a2b3c4d+base64.");
  const said = fromBase64(found[3], "The key");
  if (said.length !== 33 || said[0] !== ED25519) throw new Unverified("This page can check Ed25519 keys only.");
  const id = (await sha256(bytesOf(`${found[1]}\n`), said)).slice(0, 4);
  const named = [...id].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (named !== found[2]) throw new Unverified("The key is damaged: its number does not fit.");
  return { name: found[1], id, bytes: said.slice(1) };
}

// ---- The three steps. Each returns a sentence, or throws Unverified

async function leafStep(body, shownLeaf) {
  const leaf = await sha256(Uint8Array.of(0), bytesOf(body));
  if (!same(leaf, fromBase64(shownLeaf, "The leaf hash"))) {
    throw new Unverified("The text does not hash to the leaf that is shown: it is not what was sealed.");
  }
  return leaf;
}

// RFC 9162 2.1.3.2
async function rootOf(leaf, index, size, path) {
  if (index >= size) throw new Unverified(`Entry ${index} is not inside a tree of ${size}.`);
  let [node, place, last] = [leaf, index, size - 1];
  for (const sibling of path) {
    if (last === 0) throw new Unverified("The path is longer than the tree is high.");
    if (place % 2 === 1 || place === last) {
      node = await sha256(Uint8Array.of(1), sibling, node);
      while (place % 2 === 0 && place !== 0) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
    } else {
      node = await sha256(Uint8Array.of(1), node, sibling);
    }
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  if (last !== 0) throw new Unverified("The path ends before it reaches the root.");
  return node;
}

async function pathStep(leaf, proof, index) {
  if (proof.index !== index) throw new Unverified(`The proof is of entry ${proof.index}, not of this one.`);
  const root = await rootOf(leaf, proof.index, proof.checkpoint.size, proof.path);
  if (!same(root, proof.checkpoint.root)) throw new Unverified("The path does not lead to the root that was signed.");
}

async function signatureStep(checkpoint, key) {
  if (checkpoint.origin !== key.name) {
    throw new Unverified(`The head is of the log ${checkpoint.origin}, your key is of ${key.name}.`);
  }
  const mine = checkpoint.signatures.filter(({ name, said }) => name === key.name && same(said.slice(0, 4), key.id));
  if (mine.length === 0) {
    throw new Unverified("No line of this head is signed by your key. If the log went over to another, ask for the chain.");
  }
  let publicKey;
  try {
    publicKey = await crypto.subtle.importKey("raw", key.bytes, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error.name !== "NotSupportedError") throw new Unverified("Your key is not a point of Ed25519.");
    throw new Unverified("This browser cannot check Ed25519 signatures, so the signature was not checked.");
  }
  for (const { said } of mine) {
    const holds = await crypto.subtle.verify({ name: "Ed25519" }, publicKey, said.slice(4), bytesOf(checkpoint.text));
    if (!holds) throw new Unverified("The signature under the head is not by your key.");
  }
}

// ---- The page

const part = document.querySelector("[data-verify]");
const field = document.querySelector("#verify-key");
const keep = document.querySelector("#verify-keep");
const verdict = document.querySelector("#verify-verdict");

function say(step, state, text) {
  const line = part.querySelector(`[data-step-of=${step}]`);
  line.dataset.state = state;
  line.querySelector("[data-said]").textContent = text;
  const icon = line.querySelector("use");
  const name = { good: "circle-check", bad: "circle-x" }[state] ?? "circle-dashed";
  icon.setAttribute("href", icon.getAttribute("href").replace(/#.*/, `#${name}`));
}

async function taken(step, work, good) {
  try {
    const result = await work();
    say(step, "good", good);
    return result;
  } catch (error) {
    if (!(error instanceof Unverified)) throw error;
    say(step, "bad", error.message);
    throw error;
  }
}

async function verify() {
  const body = document.querySelector("#entry-body").textContent;
  const leafShown = document.querySelector("#entry-leaf").textContent;
  const text = document.querySelector("#verify-proof").content.textContent;
  const leaf = await taken("leaf", () => leafStep(body, leafShown), "It hashes to the leaf hash that is shown.");
  const proof = await taken(
    "path",
    async () => {
      const read = readProof(text);
      await pathStep(leaf, read, Number(part.dataset.index));
      return read;
    },
    "The path leads from the leaf to the root in the head.",
  );
  const { checkpoint } = proof;
  const good = `The head of ${checkpoint.size} entries carries a signature by it.`;
  await taken("signature", async () => signatureStep(checkpoint, await readKey(field.value)), good);
}

function rememberKey() {
  if (keep.checked) localStorage.setItem(KEPT, field.value.trim());
  else localStorage.removeItem(KEPT);
}

async function run() {
  for (const step of ["leaf", "path", "signature"]) say(step, "waiting", "Not checked yet.");
  part.querySelector("#verify-steps").hidden = false;
  verdict.textContent = "";
  if (!globalThis.crypto?.subtle) {
    verdict.textContent = "Nothing was checked: the browser computes hashes only on pages that come over HTTPS.";
    return;
  }
  rememberKey();
  try {
    await verify();
    verdict.textContent = "All three hold: this entry is in the log that your key signs.";
  } catch (error) {
    if (!(error instanceof Unverified)) throw error;
    verdict.textContent = "This does not hold. The step that failed says why; keep the proof file and ask.";
  }
}

const kept = localStorage.getItem(KEPT);
if (kept) {
  field.value = kept;
  keep.checked = true;
}
document.querySelector("#verify-go").addEventListener("click", run);
