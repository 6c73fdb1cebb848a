/** The weights of llm_guardrail's prompt-injection classifier, a JSON of scikit-learn's, as ONNX. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageFolder } from "../packages.ts";
import { encodeLogistic } from "../train/linear.ts";

/** The bytes of the ONNX model: TF-IDF of the vocabulary's terms to the probability of an injection. */
export function convert(): Uint8Array {
  const file = join(packageFolder("llm_guardrail"), "model/prompt_injection_model.json");
  const { coefficients, intercept }: { coefficients: number[][]; intercept: number[] } = JSON.parse(
    readFileSync(file, "utf8"),
  );
  const [weights] = coefficients;
  const [bias] = intercept;
  if (weights === undefined || bias === undefined) throw new Error(`${file} has no weights`);
  return encodeLogistic("prompt-injection", { weights, bias }, "injection_probability");
}
