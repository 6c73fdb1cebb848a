/** Many calls in one buffer, which moves between threads where many small ones would each be copied. */
import type { Datatype, Tensor } from "@tallystick/protocol";

export type Packed = {
  /** Per call, its tensors' name, datatype, shape and size; the data lies in the same order. */
  heads: [name: string, datatype: Datatype, shape: number[], sizeBytes: number][][];
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
  const heads = calls.map((call) =>
    call.map((tensor): Packed["heads"][number][number] => {
      data.set(tensor.data, at);
      at += aligned(tensor.data.length);
      return [tensor.name, tensor.datatype, tensor.shape, tensor.data.length];
    }),
  );
  return { heads, data };
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
