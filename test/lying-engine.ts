/** An engine of a node that lies. */
import { type OpenEngine, openEngine } from "../packages/server/src/engine.ts";

/** An engine of which those answers have one bit of their last output turned for which `isLie` holds, by their number from 0. */
export function lyingEngine(isLie: (number: number) => boolean): typeof openEngine {
  return async (...args): Promise<OpenEngine> => {
    const opened = await openEngine(...args);
    const { engine } = opened;
    let answered = 0;
    return {
      ...opened,
      engine: {
        ...engine,
        async run(...call) {
          const execution = await engine.run(...call);
          if (execution.kind !== "answered" || !isLie(answered++)) return execution;
          const outputs = execution.outputs.map((tensor, i) => {
            const isLast = i === execution.outputs.length - 1;
            return isLast ? { ...tensor, data: tensor.data.with(0, (tensor.data[0] ?? 0) ^ 1) } : tensor;
          });
          return { ...execution, outputs };
        },
      },
    };
  };
}

/** An engine whose every answer is a lie. */
export const openLying = lyingEngine(() => true);
