/** What adapters ask of a call whose names, datatypes and shapes the manifest's forms have already been held to. */
import { bytesElements, type Tensor } from "@tallystick/protocol";
import type { Outcome } from "../adapter.ts";

/** The input `name`, where the call is of the form that has it. */
export function findInput(call: Tensor[], name: string): Tensor | undefined {
  return call.find((tensor) => tensor.name === name);
}

/** The one element of a BYTES input, or what is wrong. */
export function onlyElement(tensor: Tensor): { ok: true; bytes: Uint8Array } | Refusal {
  const [bytes, ...more] = bytesElements(tensor);
  if (bytes === undefined || more.length > 0) return refuse(`"${tensor.name}" takes exactly one element`);
  return { ok: true, bytes };
}

export type Refusal = { ok: false; message: string };

/** What the sender did wrong, to be read by the sender. */
export function refuse(message: string): Refusal & Outcome {
  return { ok: false, message };
}

/** Answers calls one after the other: for graphs to which a batch is no gain. */
export async function eachAlone(calls: Tensor[][], answer: (call: Tensor[]) => Promise<Outcome>): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const call of calls) outcomes.push(await answer(call));
  return outcomes;
}

/** What `make` makes of `key`, made once for as long as `key` is held. */
export function remembered<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const made = new WeakMap<K, V>();
  return (key) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const value = make(key);
    made.set(key, value);
    return value;
  };
}
