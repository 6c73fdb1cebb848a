/** An output for a person's eyes. */
import { bytesElements, encodeTensorJson, parseUtf8, type Tensor, type TensorSpec } from "@tallystick/protocol";
import { printable } from "./terminal.ts";

/** As many values as a person reads. */
const VALUES_SHOWN = 12;

/** Texts as they are, a line each; numbers with the names of their columns where they have some, row by row. */
export function outputText(output: Tensor, specs: readonly TensorSpec[]): string {
  const { name, datatype, shape } = output;
  if (datatype === "BYTES") {
    const texts = bytesElements(output).map((element) => parseUtf8(element) ?? `(${element.length} bytes)`);
    return texts.map(printable).join("\n");
  }
  const columns = specs.find((spec) => spec.name === name)?.columns;
  const values = encodeTensorJson(output).data.map((value) =>
    typeof value === "number" ? Number(value.toPrecision(7)) : value,
  );
  const shown = values.slice(0, VALUES_SHOWN).map((value, i) => {
    const column = columns?.[i % columns.length];
    return column === undefined ? String(value) : `${column} ${value}`;
  });
  const rest = values.length > VALUES_SHOWN ? ` … ${values.length} values of shape [${shape}]` : "";
  return printable(`${name}: ${joinRows(shown, columns?.length ?? shown.length)}${rest}`);
}

/** Values with a comma between them, rows with a semicolon. */
function joinRows(values: readonly string[], width: number): string {
  return values.map((value, i) => (i === 0 ? value : `${i % width === 0 ? "; " : ", "}${value}`)).join("");
}
