/**
 * Trains the forecast from seattle-weather.csv and writes model.onnx: the same bytes each time.
 *
 *   npx tsx --conditions=@tallystick/source models/seattle-temperature/train.ts
 */
import { encodeModel, floatConstant, intConstant } from "../onnx.ts";
import { isScript } from "../script.ts";
import { circle } from "../train/functions.ts";
import { fitLinear, type Linear } from "../train/linear.ts";
import { column, numbers, readTable } from "../train/table.ts";
import { writeModel } from "../train/write.ts";

export const COLUMNS = [
  "temp_max_today",
  "temp_max_yesterday",
  "temp_max_2_days_ago",
  "temp_min_today",
  "precipitation_today",
  "wind_today",
  "day_of_year",
];
export const DAY_COLUMN = COLUMNS.indexOf("day_of_year");
const DAYS_PER_YEAR = 365.25;
/** Waves per year that the season is made of. */
const WAVES = [1, 2];

type Day = { date: string; features: number[]; today: number; tomorrow: number };

const days = readDays();
export const trainDays = days.filter(({ date }) => date < "2014-12-31");
/** What is forecast on the eve of each day of 2015. */
export const testDays = days.filter(({ date }) => date >= "2014-12-31");

function readDays(): Day[] {
  const table = readTable(new URL("seattle-weather.csv", import.meta.url));
  const [high, low, rain, wind] = ["temp_max", "temp_min", "precipitation", "wind"].map((name) => numbers(table, name));
  const at = (cells: number[] | undefined, i: number) => cells?.[i] ?? 0;
  return column(table, "date")
    .map((date, i) => ({
      date,
      today: at(high, i),
      tomorrow: at(high, i + 1),
      features: [at(high, i), at(high, i - 1), at(high, i - 2), at(low, i), at(rain, i), at(wind, i), dayOfYear(date)],
    }))
    .slice(2, -1);
}

function dayOfYear(date: string): number {
  return 1 + Math.round((Date.parse(date) - Date.parse(`${date.slice(0, 4)}-01-01`)) / 86_400_000);
}

/** The model, trained on 2012 to 2014. */
export function train(): Uint8Array {
  const features = trainDays.map((day) => [
    ...day.features.slice(0, DAY_COLUMN),
    ...season(day.features[DAY_COLUMN] ?? 0),
  ]);
  return encode(fitLinear({ features, targets: trainDays.map(({ tomorrow }) => tomorrow) }, 1));
}

function season(day: number): number[] {
  const waves = WAVES.map((wave) => circle((wave * day) / DAYS_PER_YEAR));
  return [...waves.map(({ sin }) => sin), ...waves.map(({ cos }) => cos)];
}

/** The day becomes waves inside the graph, so that a caller gives a plain number. */
function encode({ weights, bias }: Linear): Uint8Array {
  const frequencies = WAVES.map((wave) => (2 * Math.PI * wave) / DAYS_PER_YEAR);
  return encodeModel({
    name: "seattle-temperature",
    inputs: [{ name: "features", type: "FP32", shape: ["rows", COLUMNS.length] }],
    outputs: [{ name: "temp_max_tomorrow", type: "FP32", shape: ["rows", 1] }],
    nodes: [
      { op: "Split", inputs: ["features", "widths"], outputs: ["weather", "day"], attributes: { axis: 1 } },
      { op: "Mul", inputs: ["day", "frequencies"], outputs: ["angles"] },
      { op: "Sin", inputs: ["angles"], outputs: ["sines"] },
      { op: "Cos", inputs: ["angles"], outputs: ["cosines"] },
      { op: "Concat", inputs: ["weather", "sines", "cosines"], outputs: ["terms"], attributes: { axis: 1 } },
      { op: "Gemm", inputs: ["terms", "weights", "bias"], outputs: ["temp_max_tomorrow"] },
    ],
    constants: [
      intConstant("widths", [DAY_COLUMN, 1], [2]),
      floatConstant("frequencies", frequencies, [frequencies.length]),
      floatConstant("weights", weights, [weights.length, 1]),
      floatConstant("bias", [bias], [1]),
    ],
  });
}

if (isScript(import.meta)) writeModel(import.meta.url, train());
