/** An engine of a node that lies. */
import { type OpenEngine, openEngine } from "../packages/server/src/engine.ts";

/** An engine whose every answer has one bit of its last output turned. */
export const openLying: typeof openEngine = async (...args): Promise<OpenEngine> => {
  const opened = await openEngine(...args);
  const { engine } = opened;
  return {
    ...opened,
    engine: {
      ...engine,
      async run(...call) {
        const execution = await engine.run(...call);
        if (execution.kind !== "answered") return execution;
        const outputs = execution.outputs.map((tensor, i) => {
          const isLast = i === execution.outputs.length - 1;
          return isLast ? { ...tensor, data: tensor.data.with(0, (tensor.data[0] ?? 0) ^ 1) } : tensor;
        });
        return { ...execution, outputs };
      },
    },
  };
};
