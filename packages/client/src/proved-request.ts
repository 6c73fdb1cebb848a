/** The requester's commitment to a call whose answer is to be proved: to its one row, as the circuit takes it (docs/spec/proof.md). */
import {
  CIRCUIT_PATH,
  type Commitment,
  commitInput,
  hex,
  parseCall,
  parseCircuitFile,
  quantise,
  sha256,
} from "@tallystick/protocol";
import { orUnverified, UnverifiedError } from "./errors.ts";
import type { Http } from "./http.ts";
import type { Model } from "./models.ts";

/** Commits to `call`. Throws Malformed where the circuit does not take its input, and TypeError where nothing proves it. */
export async function commitProved(
  http: Http,
  { name, artifacts }: Pick<Model, "name" | "artifacts">,
  call: Uint8Array,
  salt: Uint8Array,
): Promise<Commitment> {
  const artifact = artifacts.find(({ path }) => path === CIRCUIT_PATH);
  if (artifact === undefined) throw new TypeError(`${name} has no circuit: ask for another tier than "proved"`);
  const asked = parseCall(call);
  const [input, ...others] = asked.operation === "infer" ? asked.inputs : [];
  if (input === undefined || others.length > 0)
    throw new TypeError(`what is proved of ${name} is a call of one tensor: ask for another tier than "proved"`);
  const bytes = await http.bytes(`/v1/artifacts/${artifact.sha256}`);
  if (hex(sha256(bytes)) !== artifact.sha256)
    throw new UnverifiedError(`the artifact ${artifact.sha256} came with other bytes`);
  const circuit = orUnverified(`the circuit of ${name}`, () => parseCircuitFile(bytes));
  return { alg: "poseidon2", digest: commitInput(circuit, quantise(circuit, input).values, salt) };
}
