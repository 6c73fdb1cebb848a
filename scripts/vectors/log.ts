/** test/vectors/log: vkeys, notes, checkpoints, proofs and paths of tiles (C2SP signed-note, tlog-checkpoint, -proof, -tiles). */
import { createHash } from "node:crypto";
import { base64, createNoteKey, encodeNote, encodeNoteKey, hex, type NoteSignature, utf8 } from "@tallystick/protocol";
import { fixedMlDsaKey, fixedNoteSigner } from "../../test/fixed-keys.ts";
import { LogInMemory } from "../../test/log-in-memory.ts";

const NOON = Date.UTC(2026, 10, 22, 12) / 1000;
const log = new LogInMemory();
for (const name of ["a", "b", "c", "d", "e"]) log.append(utf8(name));
const { signer } = log;
const ORIGIN = signer.key.name;
const witness = fixedNoteSigner("witness.example/one");
const mlDsaKey = fixedMlDsaKey("witness.example/two");
const cosignatureKey = createNoteKey(ORIGIN, "cosignature", signer.key.publicKey);
const vkey = encodeNoteKey(signer.key);
const base64Sha256 = (text: string) => createHash("sha256").update(text).digest("base64");

/** A vkey made by hand, so that each of its parts can be wrong. */
function vkeyOf(name: string, type: number, publicKey: Uint8Array, id?: string): string {
  const keyed = Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(type), publicKey]);
  const hash = createHash("sha256").update(keyed).digest("hex").slice(0, 8);
  return `${name}+${id ?? hash}+${Buffer.concat([Buffer.of(type), publicKey]).toString("base64")}`;
}

export function vkeyVectors(): object[] {
  const { publicKey } = signer.key;
  const id = hex(signer.key.id);
  const plus = fixedNoteSigner("log.example/plus", "plus 2").key;
  const good = (desc: string, text: string, name: string, type: string) => ({
    desc,
    wantErr: false,
    vkey: text,
    name,
    type,
  });
  const bad = (desc: string, text: string) => ({ desc, wantErr: true, vkey: text });
  return [
    good("a log's key", vkeyOf(ORIGIN, 1, publicKey), ORIGIN, "ed25519"),
    good("a cosigner's key", vkeyOf(ORIGIN, 4, publicKey), ORIGIN, "cosignature"),
    good("a key with a plus in its base64", vkeyOf(plus.name, 1, plus.publicKey), plus.name, "ed25519"),
    good("a name that is not ASCII", vkeyOf("log.exämple", 1, publicKey), "log.exämple", "ed25519"),
    good(
      "a name with a zero-width no-break space",
      vkeyOf("log\ufeffexample", 1, publicKey),
      "log\ufeffexample",
      "ed25519",
    ),
    good("a cosigner's key of ML-DSA-44", vkeyOf(mlDsaKey.name, 6, mlDsaKey.publicKey), mlDsaKey.name, "ml-dsa-44"),
    bad("nothing", ""),
    bad("a name alone", ORIGIN),
    bad("a name and an id", `${ORIGIN}+${id}`),
    bad("a key without a name", vkeyOf("", 1, publicKey)),
    bad("a name with a space", vkeyOf("log example", 1, publicKey)),
    bad("a name with a no-break space", vkeyOf("log\u00a0example", 1, publicKey)),
    bad("a name with a next-line", vkeyOf("log\u0085example", 1, publicKey)),
    bad("another key's id", vkeyOf(ORIGIN, 1, publicKey, hex(witness.key.id))),
    bad("the id of the same key as a cosigner's", vkeyOf(ORIGIN, 1, publicKey, hex(cosignatureKey.id))),
    bad("an id in upper case", vkeyOf(ORIGIN, 1, publicKey, id.toUpperCase())),
    bad("an id of seven digits", vkeyOf(ORIGIN, 1, publicKey, id.slice(1))),
    bad("an id of ten digits", vkeyOf(ORIGIN, 1, publicKey, `${id}00`)),
    bad("an ECDSA key", vkeyOf(ORIGIN, 2, publicKey)),
    bad("a name with an ideographic space", vkeyOf("log\u3000example", 1, publicKey)),
    bad("an ML-DSA-44 key of 32 bytes", vkeyOf(ORIGIN, 6, publicKey)),
    bad("an ML-DSA-44 key of 1311 bytes", vkeyOf(ORIGIN, 6, mlDsaKey.publicKey.subarray(1))),
    bad("an ML-DSA-44 key of 1313 bytes", vkeyOf(ORIGIN, 6, Buffer.concat([mlDsaKey.publicKey, Buffer.of(0)]))),
    bad("an Ed25519 key of 1312 bytes", vkeyOf(ORIGIN, 1, mlDsaKey.publicKey)),
    bad("a key of type 255", vkeyOf(ORIGIN, 255, publicKey)),
    bad("a key of 31 bytes", vkeyOf(ORIGIN, 1, publicKey.subarray(1))),
    bad("a key of 33 bytes", vkeyOf(ORIGIN, 1, Buffer.concat([publicKey, Buffer.of(0)]))),
    bad("a key without its type", `${ORIGIN}+${id}+${base64(publicKey)}`),
    bad("base64 in the alphabet for URLs", vkeyOf(plus.name, 1, plus.publicKey).replace(/\+(?=[^+]*$)/, "-")),
    bad("a line break at the end", `${vkeyOf(ORIGIN, 1, publicKey)}\n`),
  ];
}

export function noteVectors(): object[] {
  const text = "This is a note.\n\nIt has an empty line.\n";
  const mine = signer.sign(text);
  const line = (signature: NoteSignature) => encodeNote({ text: "", signatures: [signature] }).slice(1);
  const vkeys = [vkey];
  const good = (desc: string, signatures: NoteSignature[], holds: string[], known = vkeys) => ({
    desc,
    wantErr: false,
    note: encodeNote({ text, signatures }),
    text,
    vkeys: known,
    holds,
  });
  const refused = (desc: string, signatures: NoteSignature[], known = vkeys) => ({
    ...good(desc, signatures, [], known),
    wantErr: true,
    failure: "bad_signature",
  });
  const bad = (desc: string, note: string) => ({ desc, wantErr: true, failure: "malformed", note, vkeys });
  const flipped = { ...mine, signature: mine.signature.with(0, (mine.signature[0] ?? 0) ^ 1) };
  const cosigner = [encodeNoteKey(cosignatureKey)];
  const long = { ...witness.sign(text), signature: new Uint8Array(5000).fill(1) };
  const mlDsa = { name: mlDsaKey.name, id: mlDsaKey.id, signature: new Uint8Array(8 + 2420).fill(1) };
  return [
    good("a note by a known key", [mine], vkeys),
    good("a note by a known and an unknown key", [witness.sign(text), mine], vkeys),
    good("a note by an unknown key alone", [witness.sign(text)], []),
    good("a note that a known key signed twice", [mine, mine], [vkey, vkey]),
    good("a known key's name with an unknown id", [{ ...flipped, id: witness.key.id }], []),
    good("a known key's id under an unknown name", [{ ...flipped, name: "other.example" }], []),
    good("a note with a cosignature", [signer.cosign(text, NOON)], cosigner, cosigner),
    good("a cosignature after 2106, which holds and has no time", [signer.cosign(text, 2 ** 32)], cosigner, cosigner),
    good("a cosignature at 2^63 - 1", [signer.cosign(text, 2n ** 63n - 1n)], cosigner, cosigner),
    good("a line by a known ML-DSA-44 key, which is not counted", [mlDsa, mine], vkeys, [
      encodeNoteKey(mlDsaKey),
      vkey,
    ]),
    good("sixteen signatures of 5,000 bytes", [...Array.from({ length: 15 }, () => long), mine], vkeys),
    refused("a known key's signature that does not hold", [flipped]),
    refused("one that does not hold beside one that does", [mine, flipped]),
    refused("a signature over another text", [signer.sign("This is a note.\n")]),
    refused("a signature of 63 bytes", [{ ...mine, signature: mine.signature.subarray(1) }]),
    refused("a cosignature in the place of a signature", [{ ...signer.cosign(text, NOON), id: signer.key.id }]),
    refused("a cosignature of another time", [later(signer.cosign(text, NOON))], cosigner),
    refused("a cosignature at 2^63", [signer.cosign(text, 2n ** 63n)], cosigner),
    bad("nothing", ""),
    bad("no signature", `${text}\n`),
    bad("no empty line", `This is a note.\n${line(mine)}`),
    bad("no line break at the end", encodeNote({ text, signatures: [mine] }).slice(0, -1)),
    bad("an empty line at the end", `${encodeNote({ text, signatures: [mine] })}\n`),
    bad("carriage returns", encodeNote({ text, signatures: [mine] }).replaceAll("\n", "\r\n")),
    bad("a tab", `This is a\tnote.\n\n${line(mine)}`),
    bad("a NUL", `This is a note.\0\n\n${line(mine)}`),
    bad("a hyphen for the dash", `${text}\n${line(mine).replace("—", "-")}`),
    bad("two spaces after the dash", `${text}\n${line(mine).replace("— ", "—  ")}`),
    bad("a space after the signature", `${text}\n${line(mine).replace(/\n$/, " \n")}`),
    bad("a name with a plus", `${text}\n${line(mine).replace("log.example", "log+example")}`),
    bad("a signature that is not base64", `${text}\n— ${ORIGIN} not*base64\n`),
    bad("a signature with bits left over", `${text}\n— ${ORIGIN} AAAAAAB=\n`),
    bad("a signature without a byte after its id", `${text}\n— ${ORIGIN} AAAAAA==\n`),
    bad("a line that is no signature among those that are", `${text}\n${line(mine)}hello\n${line(mine)}`),
  ];
}

function later(line: NoteSignature): NoteSignature {
  return { ...line, signature: line.signature.with(7, (line.signature[7] ?? 0) + 1) };
}

export function checkpointVectors(): object[] {
  const textOf = (size: number | string, root: string, origin = ORIGIN) => `${origin}\n${size}\n${root}\n`;
  const both = (text: string) => [signer.sign(text), signer.cosign(text, NOON)];
  const file = (text: string, signatures: NoteSignature[] = both(text)) => encodeNote({ text, signatures });
  const root = Buffer.from(log.root());
  const TEXT = textOf(5, root.toString("base64"));
  const good = (desc: string, text: string, size: number, rootBytes: Buffer, signatures?: NoteSignature[]) => ({
    desc,
    wantErr: false,
    checkpoint: file(text, signatures),
    vkey,
    origin: ORIGIN,
    size,
    root: rootBytes.toString("hex"),
    timeSeconds: NOON,
  });
  const bad = (desc: string, failure: string, checkpoint: string) => ({
    desc,
    wantErr: true,
    failure,
    checkpoint,
    vkey,
  });
  const malformed = (desc: string, text: string) => bad(desc, "malformed", file(text));
  const empty = createHash("sha256").digest();
  const [signature, cosignature] = [signer.sign(TEXT), signer.cosign(TEXT, NOON)];
  return [
    good("a checkpoint of five entries", TEXT, 5, root),
    good("a checkpoint of the empty tree", textOf(0, empty.toString("base64")), 0, empty),
    good("a checkpoint of 2^53 - 1 entries", textOf(2 ** 53 - 1, root.toString("base64")), 2 ** 53 - 1, root),
    good("its cosignature before its signature", TEXT, 5, root, [cosignature, signature]),
    good("a witness that is not known beside it", TEXT, 5, root, [...both(TEXT), witness.cosign(TEXT, NOON + 9)]),
    bad("the origin of another log", "wrong_origin", file(textOf(5, root.toString("base64"), "other.example"))),
    bad("no signature by the log", "unsigned", file(TEXT, [cosignature])),
    bad("signed by a stranger alone", "unsigned", file(TEXT, [witness.sign(TEXT)])),
    bad("no cosignature", "not_cosigned", file(TEXT, [signature])),
    bad("a cosignature after 2106", "not_cosigned", file(TEXT, [signature, signer.cosign(TEXT, 2 ** 32)])),
    bad("a stranger's cosignature", "not_cosigned", file(TEXT, [signature, witness.cosign(TEXT, NOON)])),
    bad("another size than was signed", "bad_signature", file(TEXT).replace("\n5\n", "\n6\n")),
    bad("another root than was signed", "bad_signature", file(textOf(5, base64Sha256("x")), both(TEXT))),
    bad("a cosignature of another time", "bad_signature", file(TEXT, [signature, later(cosignature)])),
    malformed("a size with a leading zero", textOf("05", root.toString("base64"))),
    malformed("a size with a sign", textOf("+5", root.toString("base64"))),
    malformed("a size under 0", textOf("-5", root.toString("base64"))),
    malformed("a size in hexadecimal", textOf("0x5", root.toString("base64"))),
    malformed("a size with a fraction", textOf("5.0", root.toString("base64"))),
    malformed("no size", textOf("", root.toString("base64"))),
    malformed("a size of 2^53", textOf(2 ** 53, root.toString("base64"))),
    malformed("a size of twenty digits", textOf("18446744073709551616", root.toString("base64"))),
    malformed("a root of 31 bytes", textOf(5, root.subarray(1).toString("base64"))),
    malformed("a root in hex", textOf(5, root.toString("hex"))),
    malformed("a root without its padding", textOf(5, root.toString("base64").replace("=", ""))),
    malformed("no root", `${ORIGIN}\n5\n`),
    malformed("no origin", textOf(5, root.toString("base64"), "")),
    malformed("an extension line", `${TEXT}an extension\n`),
    malformed("an extension line after an empty one", `${TEXT}\nan extension\n`),
    malformed("an empty line in the text", `${TEXT}\n`),
    bad("no signature line", "malformed", `${TEXT}\n`),
  ];
}

export function proofVectors(): object[] {
  const text = log.prove(3, NOON);
  const good = (desc: string, proof: string, entry: string, index: number) => ({
    desc,
    wantErr: false,
    proof,
    entry: hex(utf8(entry)),
    index,
  });
  const astray = (desc: string, proof: string, entry: string, index: number) => ({
    ...good(desc, proof, entry, index),
    wantErr: true,
    failure: "not_in_log",
  });
  const malformed = (desc: string, proof: string) => ({
    ...good(desc, proof, "d", 3),
    wantErr: true,
    failure: "malformed",
  });
  const lines = text.split("\n");
  const withLines = (change: (lines: string[]) => string[]) => change([...lines]).join("\n");
  const swapped = withLines((all) => all.with(2, all[3] ?? "").with(3, all[2] ?? ""));
  return [
    ...["a", "b", "c", "d", "e"].map((name, i) => good(`entry ${i} of five`, log.prove(i, NOON), name, i)),
    good("the only entry, which needs no hash", log.prove(0, NOON, 1), "a", 0),
    astray("another entry", text, "c", 3),
    astray("another index", text.replace("index 3", "index 2"), "d", 2),
    astray("an index at the size", text.replace("index 3", "index 5"), "d", 5),
    astray(
      "the root of another size",
      withLines((all) => [...all.slice(0, 5), ...log.prove(3, NOON, 4).split("\n").slice(4)]),
      "d",
      3,
    ),
    astray(
      "a hash left out",
      withLines((all) => all.toSpliced(2, 1)),
      "d",
      3,
    ),
    astray(
      "a hash too many",
      withLines((all) => all.toSpliced(2, 0, all[2] ?? "")),
      "d",
      3,
    ),
    astray("two hashes in each other's place", swapped, "d", 3),
    malformed("nothing", ""),
    malformed("another version", text.replace("@v1", "@v2")),
    malformed("an extra line, which nobody signed", text.replace("\nindex", "\nextra aGVsbG8=\nindex")),
    malformed(
      "no index",
      withLines((all) => all.toSpliced(1, 1)),
    ),
    malformed("an index with a leading zero", text.replace("index 3", "index 03")),
    malformed("an index under 0", text.replace("index 3", "index -3")),
    malformed("an index of 2^53", text.replace("index 3", "index 9007199254740992")),
    malformed(
      "a hash of 31 bytes",
      withLines((all) => all.with(2, Buffer.alloc(31).toString("base64"))),
    ),
    malformed(
      "a hash with bits left over",
      withLines((all) => all.with(2, `${"A".repeat(42)}B=`)),
    ),
    malformed("carriage returns", text.replaceAll("\n", "\r\n")),
    malformed("no empty line before the checkpoint", text.replace("\n\n", "\n")),
    malformed("a checkpoint with an extension line", log.prove(3, NOON).replace(/\n\n—/, "\nan extension\n\n—")),
    malformed("no checkpoint", text.slice(0, text.indexOf("\n\n") + 2)),
    malformed("a byte after the end", `${text}x`),
  ];
}

export function tilePathVectors(): object[] {
  const good = (desc: string, path: string, level: number | "entries", index: number, width = 256) => ({
    desc,
    wantErr: false,
    path,
    tile: { level, index, width },
  });
  const bad = (desc: string, path: string) => ({ desc, wantErr: true, path });
  return [
    good("the first tile", "tile/0/000", 0, 0),
    good("the first bundle", "tile/entries/000", "entries", 0),
    good("a tile of one hash", "tile/0/000.p/1", 0, 0, 1),
    good("a tile that lacks one hash", "tile/1/017.p/255", 1, 17, 255),
    good("the last index of three digits", "tile/0/999", 0, 999),
    good("the first index of two groups", "tile/0/x001/000", 0, 1000),
    good("the example of C2SP", "tile/0/x001/x234/067", 0, 1_234_067),
    good("the example of C2SP, not full", "tile/entries/x001/x234/067.p/5", "entries", 1_234_067, 5),
    good("the highest level", "tile/63/000.p/1", 63, 0, 1),
    good("index 2^53 - 1", "tile/2/x009/x007/x199/x254/x740/991", 2, 2 ** 53 - 1),
    bad("nothing", ""),
    bad("no index", "tile/0"),
    bad("a slash before it", "/tile/0/000"),
    bad("a slash after it", "tile/0/000/"),
    bad("level 64", "tile/64/000"),
    bad("a level with a leading zero", "tile/00/000"),
    bad("a level under 0", "tile/-1/000"),
    bad("a level that is a word", "tile/data/000"),
    bad("an index of two digits", "tile/0/00"),
    bad("an index of four digits", "tile/0/1234"),
    bad("a group without its x", "tile/0/001/000"),
    bad("an x on the last group", "tile/0/x001/x000"),
    bad("an empty group before it", "tile/0/x000/001"),
    bad("index 2^53", "tile/0/x009/x007/x199/x254/x740/992"),
    bad("width 0", "tile/0/000.p/0"),
    bad("width 256", "tile/0/000.p/256"),
    bad("width 999", "tile/0/000.p/999"),
    bad("a width with a leading zero", "tile/0/000.p/01"),
    bad("no width", "tile/0/000.p/"),
    bad("a way out of the folder", "tile/0/../../000"),
    bad("a line break", "tile/0/000\n"),
    bad("a query", "tile/0/000?x=1"),
    bad("digits that are not ASCII", "tile/0/٠٠٠"),
  ];
}
