/** What `tally` says of the commands of whoever asks, pays and relies. */
import { AFFILIATED_KEYS } from "@tallystick/protocol";
import { COMMON, type Command, UNREACHABLE } from "./command.ts";

export const ASKING: readonly (readonly [string, Command])[] = [
  [
    "models",
    {
      takes: "",
      does: "what is offered, the most used first",
      about:
        "Lists the models that the network offers in the order of its figures: by organic inferences, then by how many parties paid for them, by decisions relied on and by valid inferences.",
      options: COMMON,
      example: "tally models",
      exits: { 0: "listed", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "infer",
    {
      takes: "MODEL [--input X]",
      does: "run a model on a file, a text or numbers, or else on its own example",
      about:
        "Signs a request, runs the model, checks that the answer is the one in the receipt, verifies the receipt and keeps its file. MODEL is a name, or words of a name and its category that are one model's alone.",
      options: [
        "input",
        "example",
        "save",
        "decision",
        "app",
        "tier",
        "open",
        "accept",
        "max-price",
        "api-key",
        ...COMMON,
      ],
      example: "tally infer paddle/ocr --input models/paddle-ocr/example.png",
      exits: {
        0: "answered, and the receipt holds",
        1: "the network refused or the call failed; a receipt may say so",
        3: "the receipt does not hold: do not use the answer",
        4: "answered, but no checkpoint covered the receipt in time",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "chat",
    {
      takes: "MODEL PROMPT",
      words: 2,
      does: "ask a language model, and check its answer as it comes",
      about:
        "Signs a request, prints the answer as it comes, and holds every frame of it to what the node signs while it streams. Ends at the first that does not hold. Then verifies the receipt, keeps its file, and says on standard error what was checked. PROMPT is a text, or - for standard input.",
      options: ["max-tokens", "hold", "save", "decision", "app", "open", "accept", "max-price", "api-key", ...COMMON],
      example: 'tally chat tallystick/state-of-the-union "Fellow citizens"',
      exits: {
        0: "answered, and the receipt holds",
        1: "the network refused or the call failed; a receipt may say so",
        3: "the answer or its receipt does not hold: do not use what was printed",
        4: "answered, but no checkpoint covered the receipt in time",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "embed",
    {
      takes: "MODEL TEXT",
      words: 2,
      does: "the vector of a text, as JSON",
      about:
        "Signs a request, checks that the vector is the one in the receipt, prints it, verifies the receipt, keeps its file, and says on standard error what was checked. TEXT is a text, or - for standard input.",
      options: ["save", "decision", "app", "open", "accept", "max-price", "api-key", ...COMMON],
      example: 'tally embed google/use-lite "a text"',
      exits: {
        0: "answered, and the receipt holds",
        1: "the network refused or the call failed; a receipt may say so",
        3: "the receipt does not hold: do not use the answer",
        4: "answered, but no checkpoint covered the receipt in time",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "verify",
    {
      takes: "RECEIPT [LOG]",
      words: 2,
      does: "every check of a receipt, of each tier: by its id, its file or its URL",
      about:
        "Makes every check of a receipt and says what each found, or why it was not made. A file needs no network. What verifiers and referees said of it is in the log: it is recomputed from LOG, a URL or the folder of a copy, or from the network that was asked, where its log is not long. A receipt of your own is opened with the half that was kept for you, and its proof is verified here.",
      options: ["accept", "proof", "api-key", ...COMMON],
      example: "tally verify receipt.json",
      exits: {
        0: "verified",
        1: "there is no such receipt",
        3: "a check failed: of the receipt, of what was said of it, of its proof or of your policy",
        4: "nothing failed, but something could not be checked: the log's key is not known, no checkpoint covers the receipt yet, or your policy is not shown to be met",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "rely",
    {
      takes: "RECEIPT",
      does: "sign that you act on an answer",
      about:
        "Verifies a receipt as tally verify does, then signs and logs that the holder of your key acts on its answer, what for and how much is at stake if you say so. One decision counts once, however many receipts and reliers are behind it.",
      options: ["purpose", "at-stake", "domain", "key", "accept", ...COMMON],
      example: "tally rely receipt.json --purpose credit --at-stake 25000000000",
      exits: {
        0: "logged, or logged before",
        1: "the network refused: an operator cannot rely on what it sells, and DNS has to name your key",
        3: "the receipt does not hold, was found wrong or is not accepted: nothing was signed",
        4: "the receipt could not be verified, and nothing was signed",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "reverse",
    {
      takes: "RECEIPT",
      does: "take back that you rely on an answer",
      about:
        "Signs and logs that the holder of your key relies no more on the decision that a receipt is of. It is for good: that key cannot rely on that decision again.",
      options: ["key", ...COMMON],
      says: { key: "the key that relied, PEM; else your own, which tally rely made" },
      example: "tally reverse receipt.json",
      exits: { 0: "logged, or logged before", 1: "the network refused: that key does not rely on it", 5: UNREACHABLE },
    },
  ],
  [
    "affiliate",
    {
      takes: "KEY-ID... --key FILE",
      words: AFFILIATED_KEYS,
      does: "say that keys are of one owner with yours",
      about:
        "Signs and logs that the keys with these ids are of one owner with the key in --key, for good. It comes to something for those that say the same of it: what they ask of one another is no organic use. The network's own roles say it of one another; a node, a publisher or a relier of yours elsewhere has to.",
      options: ["key", ...COMMON],
      says: { key: "the key that signs, PEM: the one of the node, publisher or relier that this is about; needed" },
      example: "tally affiliate KEY-ID --key node.pem",
      exits: { 0: "logged", 1: "the network refused: all of it is logged, or it knows no such key", 5: UNREACHABLE },
    },
  ],
  [
    "dispute",
    {
      takes: "RECEIPT",
      does: "say that an answer is not the model's, or that its label is wrong",
      about:
        "Verifies a receipt, then signs and logs that its answer is not what the model gives, and hands the call and the answer to the referee alone, who runs the model again. Waits some minutes for what it finds, and shows that from the log. A key disputes a receipt once; tally verify shows later what became of it. With --label it says nothing of the answer, but that the reason for which the receipt is not counted as organic is wrong; send the evidence to the operator, whose referee decides.",
      options: ["opening", "label", "evidence", "key", ...COMMON],
      says: { evidence: "with --label, what shows it: its SHA-256 is logged, the file goes nowhere" },
      example: "tally dispute receipt.json",
      exits: {
        0: "upheld: the node is held to be at fault; or the label's dispute is logged",
        1: "rejected: the model gives that answer; or the network refused the dispute",
        3: "the receipt does not hold, and nothing was signed",
        4: "the referee has not decided, or could not; or the receipt could not be verified, and nothing was signed",
        5: UNREACHABLE,
      },
    },
  ],
  [
    "resolve",
    {
      takes: "DISPUTE OUTCOME --key FILE",
      words: 2,
      does: "decide a dispute, as the referee",
      about:
        "Signs and logs, with the referee's key, what came of a dispute. OUTCOME is upheld, rejected or undecided. The referee of the network decides by itself who is right of an answer; a label is for a person to look at. DISPUTE is the dispute's id.",
      options: ["evidence", "key", ...COMMON],
      says: { key: "the referee's key, PEM (keys/referee.pem of the network's data folder); needed" },
      example: "tally resolve DISPUTE-ID upheld --evidence why.txt --key .tallystick/keys/referee.pem",
      exits: { 0: "logged", 1: "the network refused: no such dispute, or it is decided", 5: UNREACHABLE },
    },
  ],
  [
    "usage",
    {
      takes: "[METRIC]",
      does: "the network's figures, or one metric of them, drawn",
      about:
        "Prints the figures that the network publishes: what was relied on, the strata of use, and why each model ranks where it does. With a METRIC of its catalogue, as inferences or payers (docs/usage.md and GET /v1/usage/metrics list them), it draws that one, by what is asked for, at the width of the terminal; all options but those of the network are of one metric. What a network publishes is its word: tally audit recomputes it.",
      options: ["by", "from", "to", "per", "strata", "csv", ...COMMON],
      example: "tally usage inferences --by model --per week",
      exits: { 0: "printed", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "quote",
    {
      takes: "MODEL [UNITS] [OUTPUT]",
      words: 3,
      does: "what a call of a model costs, of so many units and output units",
      about:
        "Prints what a model's publisher asks, in atomic units: a call, a million units, a million output units, and a call of as many as are given. A credit is 1,000,000 atomic units.",
      options: COMMON,
      example: "tally quote statlog/credit-default 1",
      exits: { 0: "printed", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "balance",
    {
      takes: "",
      does: "what your account may spend",
      about:
        "Prints what the account of an API key may spend, what calls in flight hold of it, and what became of the rest.",
      options: ["api-key", ...COMMON],
      example: "tally balance",
      exits: { 0: "printed", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "earnings",
    {
      takes: "",
      does: "what nodes, publishers and gateways have earned, by the log",
      about: "Prints what each key has earned of charged receipts, what was paid out and what is owed.",
      options: COMMON,
      example: "tally earnings",
      exits: { 0: "printed", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
  [
    "topup",
    {
      takes: "AMOUNT",
      does: "give an account credits, as the operator",
      about:
        "Logs a top-up of so many atomic units; 1,000,000 are a credit. It is the operator's own money unless --source says otherwise, and then a column of its own in every figure: subsidised.",
      options: ["account", "source", "reference", "keys", ...COMMON],
      example: "tally topup 25000000 --source transfer",
      exits: { 0: "logged, or logged before", 1: "the network refused", 5: UNREACHABLE },
    },
  ],
];
