/** OpenAI's operations on models that run here: requests for an execution pool, and what the pool gives as a node tells it. */
import { floats, type Manifest, textTensor } from "@tallystick/protocol";
import type { ClaimedTokens, GenerationDelta, GenerationEnd } from "./execution/generation.ts";
import type { ExecutionPool } from "./execution/pool.ts";
import { embeddingFault, embeddingInputs, localFault, localRequest } from "./local-request.ts";
import type { Delta, Generated, Generator, TokenLogprob } from "./node/generation.ts";

/** With tokens that are claimed, nothing is written: they are checked, and an answer is what they write. */
export function createLocalGenerator(
  pool: Pick<ExecutionPool, "run" | "generate" | "profile">,
  claimed?: ClaimedTokens,
): Generator {
  return {
    fault: (model, operation, body) =>
      operation === "embedding" ? embeddingFault(body, dimensionCountOf(model.manifest)) : localFault(operation, body),

    async generate(model, { operation, body }, { seed, deadlineMs, signal, onDelta }) {
      const request = localRequest(operation, body, seed);
      const told = (delta: GenerationDelta) => onDelta(deltaOf(delta));
      const end = await pool.generate(model.revision, request, { deadlineMs, signal, claimed, onDelta: told });
      if (end.kind !== "answered") return end;
      const isExact = pool.profile(model.revision).exactness === "exact";
      // Whoever has the same bits writes the tokens again; whoever has not needs to be told which they were.
      return { ...generatedOf(end), ...(isExact ? {} : { tokens: tokensOf(end) }) };
    },

    async embed(model, body, { deadlineMs }) {
      const texts = embeddingInputs(body) ?? [];
      const execution = await pool.run(model.revision, [textTensor("text", texts)], { deadlineMs });
      if (execution.kind !== "answered") return execution;
      const [output] = execution.outputs;
      const values = output === undefined ? new Float32Array(0) : floats(output);
      const width = values.length / texts.length;
      const vectors = texts.map((_, row) => values.slice(row * width, (row + 1) * width));
      return { kind: "answered", vectors, promptTokens: execution.unitCount };
    },
  };
}

/** How many numbers an embedding of this model has. */
function dimensionCountOf({ outputs }: Manifest): number | undefined {
  return outputs[0]?.shape.at(-1);
}

function deltaOf({ index, text, logprobs }: GenerationDelta): Delta {
  const told = logprobs.map(({ top, ...token }): TokenLogprob => ({ ...token, top_logprobs: top }));
  return { index, content: text, ...(told.length === 0 ? {} : { logprobs: told }) };
}

type Written = Extract<GenerationEnd, { kind: "answered" }>;

function generatedOf(end: Written): Extract<Generated, { kind: "answered" }> {
  const { promptTokens, completionTokens } = end;
  const finishReasons = inOrder(end).map(({ finishReason }) => finishReason);
  return { kind: "answered", finishReasons, usage: { promptTokens, completionTokens } };
}

const tokensOf = (end: Written) => inOrder(end).map(({ tokens }) => tokens);
const inOrder = ({ choices }: Written) => [...choices].sort((a, b) => a.index - b.index);
