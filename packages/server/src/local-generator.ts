/** OpenAI's operations on models that run here: requests for an execution pool, and what the pool gives as a node tells it. */
import { floats, type Manifest, textTensor } from "@tallystick/protocol";
import type { GenerationDelta, GenerationEnd } from "./execution/generation.ts";
import type { ExecutionPool } from "./execution/pool.ts";
import { embeddingFault, embeddingInputs, localFault, localRequest } from "./local-request.ts";
import type { Delta, Generated, Generator, TokenLogprob } from "./node/generation.ts";

export function createLocalGenerator(pool: Pick<ExecutionPool, "run" | "generate">): Generator {
  return {
    fault: (model, operation, body) =>
      operation === "embedding" ? embeddingFault(body, dimensionCountOf(model.manifest)) : localFault(operation, body),

    async generate(model, { operation, body }, { seed, deadlineMs, signal, onDelta }) {
      const request = localRequest(operation, body, seed);
      const told = (delta: GenerationDelta) => onDelta(deltaOf(delta));
      return generatedOf(await pool.generate(model.revision, request, { deadlineMs, signal, onDelta: told }));
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

function generatedOf(end: GenerationEnd): Generated {
  if (end.kind !== "answered") return end;
  const { promptTokens, completionTokens, choices } = end;
  const finishReasons = [...choices].sort((a, b) => a.index - b.index).map(({ finishReason }) => finishReason);
  return { kind: "answered", finishReasons, usage: { promptTokens, completionTokens } };
}
