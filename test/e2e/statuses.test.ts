import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Person, SMALL_MODEL, startPerson } from "./person.ts";

let me: Person;
const EXAMPLE = ["infer", SMALL_MODEL, "--example"];

beforeAll(async () => {
  me = await startPerson();
});
afterAll(() => me[Symbol.asyncDispose]());

describe("every exit status", () => {
  const twice = JSON.stringify({ inputs: Array(2).fill({ name: "x", datatype: "FP32", shape: [1], data: [1] }) });
  const cases: [number, string, string[], RegExp][] = [
    [0, "help", [], /tally models/],
    [0, "help of a command", ["infer", "--help"], /--decision HEX/],
    [1, "a model that is not there", ["infer", "no/model", "--example"], /no model "no\/model"/],
    [1, "a refusal", ["infer", SMALL_MODEL, "--example", "--api-key", "wrong"], /API key that is unknown/],
    [2, "no such command", ["toString"], /no command "toString"/],
    [2, "a command that takes nothing, given something", ["models", "x"], /models does not take "x"/],
    [2, "nothing to verify", ["verify"], /verify needs a receipt/],
    [2, "one thing too many", ["verify", "a", "b", "c"], /verify does not take "c"/],
    [2, "an option of another command", ["usage", "--input", "x"], /--input is not an option of usage/],
    [2, "an option that is none", ["usage", "--loud"], /^tally: Unknown option '--loud': tally --help\n$/],
    [2, "a folder for a receipt", ["verify", "."], /neither a receipt id of 64 hex digits, nor a file/],
    [2, "a key that is none", ["verify", "x", "--vkey", "abc"], /--vkey is not a vkey/],
    [1, "a word of no model's name", ["infer", "nothing"], /no model "nothing"/],
    [2, "an input of another kind", ["infer", SMALL_MODEL, "--input", "words"], /the input is not a JSON array/],
    [2, "a tensor that is none", ["infer", SMALL_MODEL, "--input", '{"inputs":[1]}'], /has no tensor at inputs\[0\]/],
    [2, "an input twice", ["infer", SMALL_MODEL, "--input", twice], /each name once/],
    [
      2,
      "a decision that is none",
      ["infer", SMALL_MODEL, "--example", "--decision", "12"],
      /32 digits of lower-case hex/,
    ],
    [
      1,
      "a policy that no answer meets",
      [...EXAMPLE, "--accept", '{"publishers":[]}'],
      /policy: publisher: .*none of those accepted/,
    ],
    [2, "a policy that is none", [...EXAMPLE, "--accept", '{"teir":"proved"}'], /the acceptance policy has teir/],
    [2, "a policy that is not there", [...EXAMPLE, "--accept", "no.json"], /there is no no\.json/],
    [2, "an openness that is none", [...EXAMPLE, "--open", "all"], /--open takes lot or none/],
    [2, "no opening to dispute by", ["dispute", "ID", "--opening", "no.json"], /no opening in no\.json/],
    [2, "a price that is none", ["infer", SMALL_MODEL, "--example", "--max-price", "-1"], /max-price/],
    [2, "an example and an input", ["infer", SMALL_MODEL, "--example", "--input", "x"], /either --input or --example/],
    [2, "a relier's key that is not there", ["rely", "ID", "--key", "no.pem"], /no key in no\.pem/],
    [2, "a folder that holds no log", ["audit", "home"], /home holds no log/],
    [
      5,
      "nobody at an address",
      ["models", "--network", "http://127.0.0.1:9"],
      /no answer from http:\/\/127\.0\.0\.1:9/,
    ],
    [
      5,
      "an address without its scheme",
      ["models", "--network", "localhost:8787"],
      /--network http:\/\/localhost:8787/,
    ],
    [
      5,
      "nobody at home",
      ["usage", "--network", "nowhere"],
      /no network is running in .*nowhere: start one with `npm start`/,
    ],
  ];
  test.each(cases)("%i: %s", async (status, _, args, message) => {
    const id = args.includes("ID") ? (await me.receipt()).receiptId : "";
    const ran = await me.tally(args.map((arg) => (arg === "ID" ? id : arg)));
    expect(ran).toMatchObject({ status, [status === 0 ? "stdout" : "stderr"]: expect.stringMatching(message) });
    if (status !== 0) expect(ran).toMatchObject({ stdout: "", stderr: expect.stringMatching(/^tally: .*\n$/) });
  });
});
