// "Verify this now" on the page of an entry: what the entry says, up to the signature by a key that the reader brings.
// Only what is shown on the page is looked at; nothing is sent anywhere. The checks are those of log-verifier.js.

import {
  CannotLook, NotSigned, Unverified, bytesOf, checkInclusion, fromBase64, leafHash, openAnyCheckpoint, openCheckpoint, readKey, readProof, same,
} from "./log-verifier.js";

const KEPT = "gatehouse-ledger-key";

// ---- The three steps. Each throws Unverified when it does not hold

async function leafStep(body, shownLeaf) {
  const leaf = await leafHash(bytesOf(body));
  if (!same(leaf, fromBase64(shownLeaf))) {
    throw new Unverified("the text does not hash to the leaf that is shown: it is not what was sealed");
  }
  return leaf;
}

async function pathStep(leaf, proofFile, index) {
  const proof = readProof(proofFile);
  if (proof.index !== index) throw new Unverified(`the proof is of entry ${proof.index}, not of this one`);
  const head = openAnyCheckpoint(proof.note);
  await checkInclusion(leaf, index, head.size, head.root, proof.path);
  return { note: proof.note, ...head };
}

async function signatureStep(head, key) {
  if (head.origin !== key.name) throw new Unverified(`the head is of the log ${head.origin}, your key is of ${key.name}`);
  try {
    await openCheckpoint(head.note, key);
  } catch (error) {
    if (!(error instanceof NotSigned)) throw error;
    throw new Unverified("no line of this head is signed by your key. If the log went over to another, ask for the chain");
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

const sentence = ({ message }) => `${message[0].toUpperCase()}${message.slice(1)}.`;

async function taken(step, work, good) {
  try {
    const result = await work();
    say(step, "good", good);
    return result;
  } catch (error) {
    if (error instanceof Unverified) say(step, "bad", sentence(error));
    else if (error instanceof CannotLook) say(step, "waiting", sentence(error));
    throw error;
  }
}

async function verify() {
  const body = document.querySelector("#entry-body").textContent;
  const leafShown = document.querySelector("#entry-leaf").textContent;
  const text = document.querySelector("#verify-proof").content.textContent;
  const leaf = await taken("leaf", () => leafStep(body, leafShown), "It hashes to the leaf hash that is shown.");
  const head = await taken(
    "path",
    () => pathStep(leaf, text, Number(part.dataset.index)),
    "The path leads from the leaf to the root in the head.",
  );
  const good = `The head of ${head.size} entries carries a signature by it.`;
  await taken("signature", async () => signatureStep(head, await readKey(field.value)), good);
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
    if (!(error instanceof Unverified || error instanceof CannotLook)) throw error;
    if (error instanceof CannotLook) verdict.textContent = "Not everything was checked. The step that could not be says why.";
    else verdict.textContent = "This does not hold. The step that failed says why; keep the proof file and ask.";
  }
}

const kept = localStorage.getItem(KEPT);
if (kept) {
  field.value = kept;
  keep.checked = true;
}
document.querySelector("#verify-go").addEventListener("click", run);
