/** test/vectors/log/policies.json: trust policies (C2SP tlog-policy), in base64 since not every policy is UTF-8. */
import { createNoteKey, encodeNoteKey, type NoteKey } from "@tallystick/protocol";
import { fixedMlDsaKey, fixedNoteSigner } from "../../test/fixed-keys.ts";

const LOG = fixedNoteSigner("log.example/tallystick").key;
const vkeyOf = (name: string) => encodeNoteKey(witnessKey(name));
const witnessKey = (name: string, label = name): NoteKey => {
  const { publicKey } = fixedNoteSigner(`witness.example/${label}`).key;
  return createNoteKey(`witness.example/${name}`, "cosignature", publicKey);
};
const LOG_VKEY = encodeNoteKey(LOG);
const OTHER_LOG_VKEY = encodeNoteKey(fixedNoteSigner("log.example/other").key);
const ML_DSA_VKEY = encodeNoteKey(fixedMlDsaKey("witness.example/ml-dsa"));
const witness = (name: string, ...url: string[]) => ["witness", name, vkeyOf(name), ...url].join(" ");

type Case = { by: string[]; is: boolean };
const yes = (...by: string[]): Case => ({ by, is: true });
const no = (...by: string[]): Case => ({ by, is: false });
type Expected = { logs?: object[]; witnesses?: object[]; quorum: unknown; cases: Case[] };

/** The octets of a policy; each line a text in UTF-8, or octets. */
const octets = (lines: (string | Uint8Array)[]) =>
  Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from("\n")]));
const named = (...names: string[]) => names.map((name) => ({ name, vkey: vkeyOf(name) }));

function good(desc: string, lines: (string | Uint8Array)[], { logs = [], witnesses = [], ...rest }: Expected): object {
  return { desc, wantErr: false, policy: octets(lines).toString("base64"), logs, witnesses, ...rest };
}

/** `line` is the number of the line that is at fault; 0 where it is the whole. */
function bad(desc: string, line: number, lines: (string | Uint8Array)[] | Buffer): object {
  const policy = Buffer.isBuffer(lines) ? lines : octets(lines);
  return { desc, wantErr: true, policy: policy.toString("base64"), line };
}

export function policyVectors(): object[] {
  return [...goodPolicies(), ...badPolicies(), ...badGroups()];
}

const OWN_AND_OTHER = [
  "# Our log, our own witness, and one of two that others run.",
  `log ${LOG_VKEY} https://log.example/tallystick`,
  witness("own"),
  witness("a", "https://a.example/witness"),
  witness("b"),
  "group others any a b",
  "group both all own others",
  "quorum both",
];

function goodPolicies(): object[] {
  const nested = [
    "# One log, two operators.",
    `log ${LOG_VKEY} https://log.example/tallystick`,
    "",
    ...["X1", "X2", "X3"].map((name) => witness(name)),
    "group X-witnesses 2 X1 X2 X3",
    ...["Y1", "Y2", "Y3"].map((name) => witness(name, `https://witness.example/${name}/`)),
    "group Y-witnesses any Y1 Y2 Y3",
    "group X-and-Y all X-witnesses Y-witnesses",
    "quorum X-and-Y",
  ];
  const [x, y] = [
    { threshold: 2, members: ["X1", "X2", "X3"] },
    { threshold: 1, members: ["Y1", "Y2", "Y3"] },
  ];
  const withUrls = ["Y1", "Y2", "Y3"].map((name) => ({
    name,
    vkey: vkeyOf(name),
    url: `https://witness.example/${name}/`,
  }));
  const log = { vkey: LOG_VKEY };
  const one = (cases = [yes("W"), no()]) => ({ witnesses: named("W"), quorum: "W", cases });
  const invalidUtf8 = Buffer.concat([Buffer.from("witness "), Buffer.of(0xe9), Buffer.from(` ${vkeyOf("W")}`)]);
  return [
    good("the example of docs/spec/log.md: our own witness and one of two others", OWN_AND_OTHER, {
      logs: [{ vkey: LOG_VKEY, url: "https://log.example/tallystick" }],
      witnesses: [...named("own"), { name: "a", vkey: vkeyOf("a"), url: "https://a.example/witness" }, ...named("b")],
      quorum: { threshold: 2, members: ["own", { threshold: 1, members: ["a", "b"] }] },
      cases: [no(), no("own"), no("a", "b"), yes("own", "a"), yes("own", "b"), yes("own", "a", "b")],
    }),
    good("two of three and one of three", nested, {
      logs: [{ vkey: LOG_VKEY, url: "https://log.example/tallystick" }],
      witnesses: [...named("X1", "X2", "X3"), ...withUrls],
      quorum: { threshold: 2, members: [x, y] },
      cases: [
        no(),
        no("X1", "X2", "X3"),
        no("X1", "Y1", "Y2", "Y3"),
        yes("X1", "X3", "Y2"),
        yes("X1", "X2", "X3", "Y1", "Y2", "Y3"),
      ],
    }),
    good("no witness at all", [`log ${LOG_VKEY}`, "quorum none"], { logs: [log], quorum: "none", cases: [yes()] }),
    good("a quorum line alone", ["quorum none"], { quorum: "none", cases: [yes()] }),
    good("one witness", [witness("W"), "quorum W"], one()),
    good("a quorum before a log and a witness", [witness("W"), "quorum W", `log ${LOG_VKEY}`, witness("V")], {
      logs: [log],
      witnesses: named("W", "V"),
      quorum: "W",
      cases: [yes("W"), no("V")],
    }),
    good("tabs and spaces around items", [`\t witness \t W  ${vkeyOf("W")}\t`, " quorum\tW ", " \t "], one()),
    good("a comment behind spaces", [" \t# not a line", witness("W"), "quorum W", "#quorum none"], one()),
    good("a group of one", [witness("W"), "group G 1 W", "quorum G"], {
      witnesses: named("W"),
      quorum: { threshold: 1, members: ["W"] },
      cases: [yes("W"), no()],
    }),
    good("a quorum that is a member of a group", [witness("W"), "group G all W", "quorum W"], one()),
    good("a witness that is called all", [witness("all"), "group any any all", "quorum any"], {
      witnesses: named("all"),
      quorum: { threshold: 1, members: ["all"] },
      cases: [yes("all"), no()],
    }),
    good("two logs", [`log ${LOG_VKEY}`, `log ${OTHER_LOG_VKEY}`, "quorum none"], {
      logs: [log, { vkey: OTHER_LOG_VKEY }],
      quorum: "none",
      cases: [yes()],
    }),
    good("a witness with the public key of the log", [`log ${LOG_VKEY}`, `witness W ${LOG_COSIGNER}`, "quorum W"], {
      logs: [log],
      witnesses: [{ name: "W", vkey: LOG_COSIGNER }],
      quorum: "W",
      cases: [yes("W"), no()],
    }),
    good("a witness of ML-DSA-44", [`witness W ${ML_DSA_VKEY}`, "quorum W"], {
      witnesses: [{ name: "W", vkey: ML_DSA_VKEY }],
      quorum: "W",
      cases: [yes("W"), no()],
    }),
    good(
      "K and the Kelvin sign, which are two names",
      [witness("K"), `witness \u212a ${vkeyOf("V")}`, "quorum \u212a"],
      {
        witnesses: [...named("K"), { name: "\u212a", vkey: vkeyOf("V") }],
        quorum: "\u212a",
        cases: [no("K"), yes("\u212a")],
      },
    ),
    good("a no-break space inside a name", [`witness a\u00a0b ${vkeyOf("W")}`, "quorum a\u00a0b"], {
      witnesses: [{ name: "a\u00a0b", vkey: vkeyOf("W") }],
      quorum: "a\u00a0b",
      cases: [yes("a\u00a0b")],
    }),
    good("a name and a comment that are not UTF-8", [invalidUtf8, Buffer.of(0x23, 0xff, 0x80), quorumOf(0xe9)], {
      witnesses: [{ name: "\u00e9", vkey: vkeyOf("W") }],
      quorum: "\u00e9",
      cases: [yes("\u00e9"), no()],
    }),
  ];
}

const LOG_COSIGNER = encodeNoteKey(createNoteKey(LOG.name, "cosignature", LOG.publicKey));
const quorumOf = (octet: number) => Buffer.concat([Buffer.from("quorum "), Buffer.of(octet)]);

function badPolicies(): object[] {
  const W = witness("W");
  const renamed = encodeNoteKey(witnessKey("V", "W"));
  const cosignerOfLog = encodeNoteKey(createNoteKey("log.example/again", "ed25519", LOG.publicKey));
  return [
    bad("nothing", 0, []),
    bad("no quorum line", 0, [`log ${LOG_VKEY}`, W]),
    bad("two quorum lines", 3, [W, "quorum W", "quorum W"]),
    bad("a quorum of nobody", 1, ["quorum"]),
    bad("a quorum of two", 3, [W, witness("V"), "quorum W V"]),
    bad("a quorum defined after it", 1, ["quorum W", W]),
    bad("a quorum in another case", 2, [W, "quorum w"]),
    bad("None for none", 1, ["quorum None"]),
    bad("an unknown keyword", 1, ["logs", "quorum none"]),
    bad("a keyword in another case", 1, ["Quorum none"]),
    bad("a comment after a quorum", 2, [W, "quorum W # the witness"]),
    bad("no newline at the end", 2, Buffer.from(`${W}\nquorum W`)),
    bad("carriage returns", 1, [`${W}\r`, "quorum W\r"]),
    bad("a NUL in a comment", 1, ["# \0", "quorum none"]),
    bad("a DEL in a comment", 2, ["quorum none", "# \u007f"]),
    bad("a vertical tab between items", 1, ["quorum\vnone"]),
    bad("a no-break space between items", 1, ["quorum\u00a0none"]),
    bad("a log without its vkey", 1, ["log", "quorum none"]),
    bad("a log with two URLs", 1, [`log ${LOG_VKEY} https://a.example https://b.example`, "quorum none"]),
    bad("a log whose vkey is cut off", 1, [`log ${LOG_VKEY.slice(0, -4)}`, "quorum none"]),
    bad("a log with a cosigner's key", 1, [`log ${LOG_COSIGNER}`, "quorum none"]),
    bad("a log twice", 2, [`log ${LOG_VKEY}`, `log ${LOG_VKEY}`, "quorum none"]),
    bad("a log's public key under another name", 2, [`log ${LOG_VKEY}`, `log ${cosignerOfLog}`, "quorum none"]),
    bad("a vkey that is not UTF-8", 1, [Buffer.concat([Buffer.from("log "), Buffer.of(0xe9)]), "quorum none"]),
    bad("a witness without its vkey", 1, ["witness W", "quorum W"]),
    bad("a witness without its name", 1, [`witness ${vkeyOf("W")}`, "quorum none"]),
    bad("a witness with two URLs", 1, [`${W} https://a.example https://b.example`, "quorum W"]),
    bad("a witness with a log's key", 1, [`witness W ${LOG_VKEY}`, "quorum W"]),
    bad("a witness twice", 2, [W, W, "quorum W"]),
    bad("two witnesses of one name", 2, [W, `witness W ${vkeyOf("V")}`, "quorum W"]),
    bad("a witness's public key under another name", 2, [W, `witness V ${renamed}`, "quorum W"]),
    bad("a witness that is called none", 1, [witness("none"), "quorum none"]),
  ];
}

function badGroups(): object[] {
  const [W, V] = [witness("W"), witness("V")];
  const group = (desc: string, line: string, at = 3) => bad(desc, at, [W, V, line, "quorum W"]);
  return [
    group("a group of nobody", "group G any"),
    group("a group without its threshold", "group G"),
    group("a threshold of 0", "group G 0 W V"),
    group("a threshold over the members", "group G 3 W V"),
    group("a threshold with a sign", "group G +1 W V"),
    group("a threshold with a leading zero", "group G 01 W V"),
    group("a threshold in hexadecimal", "group G 0x1 W V"),
    group("a threshold with a fraction", "group G 1.0 W V"),
    group("a threshold in another case", "group G Any W V"),
    group("a member twice in one group", "group G any W W"),
    group("none for a member", "group G any W none"),
    group("a member that nobody defined", "group G any W U"),
    group("a group as its own member", "group G any W G"),
    group("a group that is called none", "group none any W"),
    group("a group with the name of a witness", "group V any W"),
    bad("a member of two groups", 4, [W, V, "group G any W", "group H any W V", "quorum W"]),
    bad("two groups of one name", 4, [W, V, "group G any W", "group G any V", "quorum W"]),
    bad("a member defined after its group", 2, [W, "group G any W V", V, "quorum W"]),
  ];
}
