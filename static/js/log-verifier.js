// Checks what a ledger says without trusting the one who keeps it: governance/ledger/standalone.py for a browser, with the
// same limits, so that both take and refuse the same texts (tests/evidence/test_verify_page.py holds them together).
// The page of an entry loads it; verify.html of a bundle has it inside, word for word but for `export`.
// Only WebCrypto. Formats: RFC 8785, RFC 6962, RFC 8032, c2sp.org/signed-note, /tlog-checkpoint, /tlog-proof; docs/ledger-format.md.

// A check did not hold. The text says which.
export class Unverified extends Error {}
// The note may be as it was written; only nothing in it is by the key.
export class NotSigned extends Unverified {}
// This browser cannot make the check.
export class CannotLook extends Error {}

// ---- Bytes

export const bytesOf = (text) => new TextEncoder().encode(text);
export const same = (one, other) => one.length === other.length && one.every((byte, place) => byte === other[place]);
export const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
export const toBase64 = (bytes) => btoa(String.fromCharCode(...bytes));

export function utf8(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Unverified("it is not UTF-8");
  }
}

export function fromBase64(text) {
  let said;
  try {
    said = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw new Unverified("a base64 value is malformed");
  }
  if (toBase64(said) !== text) throw new Unverified("a base64 value is not canonical");
  return said;
}

export function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

export async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", parts.length === 1 ? parts[0] : joined(...parts)));
}

// ---- Canonical JSON (RFC 8785, the subset of the format)

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const names = Object.keys(value).sort();
    if (names.some((name) => /[^\x00-\x7f]/.test(name))) throw new Unverified("a member name is not ASCII");
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  if (typeof value === "string" && /\p{Surrogate}/u.test(value)) throw new Unverified("a text has half a character");
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new Unverified("a number is not a safe integer");
  return JSON.stringify(value);
}

export function readCanonical(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Unverified("the text is not JSON");
  }
  if (canonical(value) !== text) throw new Unverified("the text is not canonical JSON");
  return value;
}

// ---- The tree (RFC 6962 2.1, verification as in RFC 9162 2.1.3 and 2.1.4)

export const leafHash = (body) => sha256(Uint8Array.of(0), body);
export const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);
const half = (number) => Math.floor(number / 2);
const isHash = (node) => node.length === 32;

export async function rootFromInclusion(leaf, index, size, path) {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) {
    throw new Unverified(`entry ${index} is not inside a tree of ${size}`);
  }
  let [node, place, last] = [leaf, index, size - 1];
  for (const sibling of path) {
    if (last === 0 || !isHash(sibling)) throw new Unverified("the inclusion proof has a hash too many or one of the wrong length");
    if (place % 2 === 1 || place === last) {
      node = await nodeHash(sibling, node);
      while (place % 2 === 0 && place !== 0) [place, last] = [half(place), half(last)];
    } else {
      node = await nodeHash(node, sibling);
    }
    [place, last] = [half(place), half(last)];
  }
  if (last !== 0) throw new Unverified("the inclusion proof is too short");
  return node;
}

export async function checkInclusion(leaf, index, size, root, path) {
  if (!same(await rootFromInclusion(leaf, index, size, path), root)) {
    throw new Unverified(`entry ${index} does not lead to the signed root of size ${size}`);
  }
}

export async function checkConsistency(old, oldRoot, size, root, path) {
  if (old <= 0 || old > size) throw new Unverified(`no consistency can be shown from size ${old} to ${size}`);
  if (old === size) {
    if (path.length || !same(oldRoot, root)) throw new Unverified(`two different trees of size ${old}`);
    return;
  }
  const [first, ...rest] = isPowerOfTwo(old) ? [oldRoot, ...path] : path;
  if (!first || !path.every(isHash)) {
    throw new Unverified("the consistency proof is too short or has a hash of the wrong length");
  }
  const [earlier, later] = await consistentRoots(old, size, first, rest);
  if (!same(earlier, oldRoot) || !same(later, root)) {
    throw new Unverified(`the tree of size ${old} is not a prefix of the tree of size ${size}`);
  }
}

async function consistentRoots(old, size, first, rest) {
  let [place, last, earlier, later] = [old - 1, size - 1, first, first];
  while (place % 2 === 1) [place, last] = [half(place), half(last)];
  for (const node of rest) {
    if (last === 0) throw new Unverified("the consistency proof has a hash too many");
    if (place % 2 === 1 || place === last) {
      [earlier, later] = [await nodeHash(node, earlier), await nodeHash(node, later)];
      while (place % 2 === 0 && place !== 0) [place, last] = [half(place), half(last)];
    } else {
      later = await nodeHash(later, node);
    }
    [place, last] = [half(place), half(last)];
  }
  if (last !== 0) throw new Unverified("the consistency proof is too short");
  return [earlier, later];
}

function isPowerOfTwo(number) {
  while (number % 2 === 0) number /= 2;
  return number === 1;
}

// ---- Keys, signed notes, checkpoints, proof files

// What Python takes for white space in a text; no name of a key has it, nor a plus.
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const AROUND = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g");
const KEY_NAME = new RegExp(`^[^${SPACE}+]+$`);
const ED25519 = 1;
const MOST_SIGNATURES = 64;

// Sizes and indices: decimal numbers without sign or leading zero, up to what every program can hold.
export const isCount = (digits) => /^(0|[1-9][0-9]{0,15})$/.test(digits) && Number.isSafeInteger(Number(digits));

export async function readKey(text) {
  const spelled = text.replace(AROUND, "");
  const [name, id, ...rest] = spelled.split("+");
  if (!rest.length || !KEY_NAME.test(name)) throw new Unverified("this is not a public key of a ledger (name+1a2b3c4d+base64)");
  const said = fromBase64(rest.join("+"));
  if (said.length !== 33 || said[0] !== ED25519) throw new Unverified("the key is damaged, or not of Ed25519: Ed25519 keys only can be checked here");
  const keyId = (await sha256(bytesOf(`${name}\n`), said)).slice(0, 4);
  if (hex(keyId) !== id) throw new Unverified("the id of the key does not fit the key");
  return { name, id: keyId, bytes: said.slice(1), text: spelled, fingerprint: hex(await sha256(said.slice(1))) };
}

function signatureLines(note) {
  if (/[\x00-\x09\x0b-\x1f]/.test(note)) throw new Unverified("the note has control characters");
  const split = note.lastIndexOf("\n\n");
  if (split < 0 || split + 2 === note.length || !note.endsWith("\n")) throw new Unverified("this is not a signed note");
  const lines = note.slice(split + 2, -1).split("\n");
  if (lines.length > MOST_SIGNATURES) throw new Unverified("the note carries too many signatures");
  return { text: note.slice(0, split + 1), signatures: lines.map(signatureLine) };
}

function signatureLine(line) {
  const [dash, name, said, ...more] = line.split(" ");
  if (dash !== "\u2014" || said === undefined || more.length || !KEY_NAME.test(name)) {
    throw new Unverified("a signature line of the note is malformed");
  }
  const bytes = fromBase64(said);
  if (bytes.length < 5) throw new Unverified("a signature of the note is too short");
  return { name, id: bytes.slice(0, 4), signature: bytes.slice(4) };
}

// What a checkpoint says once the signature of a key holds: the one, or one of the others that count as well. Lines of
// other keys are ignored; a line of these that does not hold spoils the note.
export async function openCheckpoint(note, key, also = []) {
  const { text, signatures } = signatureLines(note);
  let isVerified = false;
  for (const { name, id, signature } of signatures) {
    const known = [key, ...also].find((one) => name === one.name && same(id, one.id));
    if (!known) continue;
    if (!(await isSigned(known, signature, bytesOf(text)))) throw new Unverified(`the signature of ${name} does not hold`);
    isVerified = true;
  }
  if (!isVerified) throw new NotSigned(`no signature of ${key.name} on the note`);
  const said = readCheckpoint(text);
  if (said.origin !== key.name) throw new Unverified(`the checkpoint is of another log: ${said.origin}`);
  return said;
}

// What a checkpoint says, without looking whose signatures it carries.
export const openAnyCheckpoint = (note) => readCheckpoint(signatureLines(note).text);

function readCheckpoint(text) {
  const [origin, size, root, end, ...more] = text.split("\n");
  if (end !== "" || more.length) throw new Unverified("the checkpoint is not origin, size and root");
  const bytes = fromBase64(root);
  if (!isCount(size) || !isHash(bytes)) throw new Unverified("the size or the root of the checkpoint is malformed");
  return { origin, size: Number(size), root: bytes };
}

async function isSigned(key, signature, text) {
  let publicKey;
  try {
    publicKey = await crypto.subtle.importKey("raw", key.bytes, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error.name === "NotSupportedError") throw new CannotLook("this browser cannot check Ed25519 signatures: use a newer one, or verify.py");
    throw new Unverified("the key is not a point of Ed25519");
  }
  return crypto.subtle.verify({ name: "Ed25519" }, publicKey, signature, text);
}

export function readProof(text) {
  const split = text.indexOf("\n\n");
  const lines = text.slice(0, split).split("\n");
  const extra = lines[1]?.startsWith("extra ") ? 1 : 0;
  const index = /^index ([0-9]+)$/.exec(lines[1 + extra] ?? "");
  if (split < 0 || lines[0] !== "c2sp.org/tlog-proof@v1") throw new Unverified("this is not a proof file");
  if (!index || !isCount(index[1])) throw new Unverified("the proof file does not say its index");
  const path = lines.slice(2 + extra).map(fromBase64);
  if (!path.every(isHash)) throw new Unverified("the proof file has a hash of the wrong length");
  return { index: Number(index[1]), path, note: text.slice(split + 2) };
}

// The keys before and after that an entry `log.key_rotated` names, both of one name.
export async function readRotation(body) {
  const { event, data } = readCanonical(body) ?? {};
  if (event !== "log.key_rotated" || data === undefined) throw new Unverified("the entry does not change the key");
  const [before, after] = [await readKey(textOf(data?.previous)), await readKey(textOf(data?.verifier_key))];
  if (before.name !== after.name) throw new Unverified("the entry changes the name of the log");
  return { before, after };
}

// What an entry `log.reopened` says of the log before.
export async function readBreak(body) {
  const { event, data } = readCanonical(body) ?? {};
  if (event !== "log.reopened") throw new Unverified("the entry does not reopen a log");
  if (data?.lost === undefined) throw new Unverified("the entry that reopens the log is malformed");
  const former = readFormer(data.former);
  if (data.lost !== null) readFormer(data.lost);
  const [previous, key] = [await readKey(textOf(data.previous)), await readKey(textOf(data.verifier_key))];
  if (previous.name !== former.origin || key.name === former.origin || sizeOf(data.trusted_size) > former.size) {
    throw new Unverified("the entry that reopens the log contradicts itself");
  }
  return { former: former.origin, size: former.size, cause: textOf(data.cause), why: textOf(data.why), key };
}

function readFormer(said) {
  if (!/^[0-9a-f]{64}$/.test(textOf(said?.root))) throw new Unverified("a root is not 64 hexadecimal digits");
  return { origin: textOf(said.origin), size: sizeOf(said.size) };
}

function textOf(value) {
  if (typeof value !== "string") throw new Unverified("a value that is to be a text is none");
  return value;
}

function sizeOf(value) {
  if (!Number.isSafeInteger(value) || value < 0) throw new Unverified("a value that is to be a size is none");
  return value;
}
