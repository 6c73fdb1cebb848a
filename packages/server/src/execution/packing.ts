/** Many calls in one buffer, which moves between threads where many small ones would each be copied. */
import type { Datatype, Tensor } from "@tallystick/protocol";

type Head = [name: string, datatype: Datatype, shape: number[], sizeBytes: number];

export type Packed = {
  /** Per call, its tensors' name, datatype, shape and size; the data lies in the same order. Equal ones are one array. */
  heads: Head[][];
  data: Uint8Array<ArrayBuffer>;
};

/** Every tensor starts where any typed array may. */
const ALIGNMENT_BYTES = 8;
const aligned = (sizeBytes: number) => Math.ceil(sizeBytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;

export function pack(calls: readonly (readonly Tensor[])[]): Packed {
  let sizeBytes = 0;
  for (const call of calls) for (const { data } of call) sizeBytes += aligned(data.length);
  const data = new Uint8Array(sizeBytes);
  let at = 0;
  let last: Head[] | undefined;
  const heads = calls.map((call) => {
    for (const tensor of call) {
      data.set(tensor.data, at);
      at += aligned(tensor.data.length);
    }
    // Calls of one batch are mostly alike, and what is one array here goes over once.
    if (last === undefined || !areHeadsOf(last, call))
      last = call.map((tensor) => [tensor.name, tensor.datatype, tensor.shape, tensor.data.length]);
    return last;
  });
  return { heads, data };
}

function areHeadsOf(heads: readonly Head[], call: readonly Tensor[]): boolean {
  return (
    heads.length === call.length &&
    heads.every(([name, datatype, shape, sizeBytes], i) => {
      const tensor = call[i];
      return (
        tensor?.name === name &&
        tensor.datatype === datatype &&
        tensor.data.length === sizeBytes &&
        tensor.shape.length === shape.length &&
        tensor.shape.every((size, k) => size === shape[k])
      );
    })
  );
}

/** The calls again, their tensors over the one buffer. */
export function unpack({ heads, data }: Packed): Tensor[][] {
  let at = 0;
  return heads.map((call) =>
    call.map(([name, datatype, shape, sizeBytes]) => {
      const tensor = { name, datatype, shape, data: data.subarray(at, at + sizeBytes) };
      at += aligned(sizeBytes);
      return tensor;
    }),
  );
}
