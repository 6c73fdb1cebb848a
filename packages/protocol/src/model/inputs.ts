/** Whether a call's inputs are what a model takes: names, datatypes, shapes. */
import type { Tensor } from "../call/tensor.ts";
import type { Manifest, TensorSpec } from "./manifest.ts";

/** A tensor as far as a spec speaks of it. */
type Described = Pick<Tensor, "name" | "datatype" | "shape">;

/** What is wrong with `inputs`, in words for their sender, or undefined where they are one of the manifest's forms. */
export function inputsFault({ name, forms }: Manifest, inputs: readonly Described[]): string | undefined {
  const given = inputs.map((input) => input.name).sort();
  const form = forms.find((specs) => sameNames(specs, given));
  if (form === undefined) {
    const choices = forms.map((specs) => specs.map(describe).join(" and ")).join("; or ");
    return `${name} takes ${choices}; the call has ${given.length === 0 ? "no inputs" : given.map(quote).join(", ")}`;
  }
  for (const input of inputs) {
    const spec = form.find((candidate) => candidate.name === input.name);
    if (spec !== undefined && !fits(spec, input))
      return `${name} takes ${describe(spec)}, not ${input.datatype} [${input.shape}]`;
  }
  return undefined;
}

function sameNames(specs: readonly TensorSpec[], given: readonly string[]): boolean {
  const names = specs.map((spec) => spec.name).sort();
  return names.length === given.length && names.every((name, i) => name === given[i]);
}

function fits(spec: TensorSpec, { datatype, shape }: Described): boolean {
  return (
    spec.datatype === datatype &&
    spec.shape.length === shape.length &&
    shape.every((size, axis) => size > 0 && (spec.shape[axis] === -1 || spec.shape[axis] === size))
  );
}

function describe({ name, datatype, shape }: TensorSpec): string {
  return `${quote(name)} of ${datatype} [${shape}]`;
}

function quote(name: string): string {
  return JSON.stringify(name);
}
