import { expect, test } from "vitest";
import { forecastOf } from "./disk.ts";

const GB = 1_000_000_000;
const log = {
  tilesBytes: 6 * GB,
  entryCount: 10_000_000,
  entriesADay: 1_000_000,
  freeBytes: 60 * GB,
  diskBytes: 100 * GB,
};

test("the forecast is what is free over what a day's entries take", () => {
  expect(forecastOf(log)).toEqual({ bytesAnEntry: 600, growthBytesADay: 0.6 * GB, daysUntilFull: 100, warnings: [] });
});

test.each([
  ["30 days are enough", { freeBytes: 18 * GB }, []],
  ["less is not", { freeBytes: 18 * GB - 1 }, ["the log alone fills the disk in 29 days"]],
  ["a tenth free is enough", { entriesADay: 1, freeBytes: 10 * GB }, []],
  ["less is not", { entriesADay: 1, freeBytes: 10 * GB - 1 }, ["less than 10 % of the disk is free"]],
  ["both may be", { freeBytes: 0 }, ["the log alone fills the disk in 0 days", "less than 10 % of the disk is free"]],
])("warnings: %s", (_, changes, warnings) => {
  expect(forecastOf({ ...log, ...changes }).warnings).toEqual(warnings);
});

test.each([
  ["an empty log", { entryCount: 0 }, null],
  ["a log whose growth is not known", { entriesADay: null }, 600],
  ["a log that does not grow", { entriesADay: 0 }, 600],
])("%s never fills the disk", (_, changes, bytesAnEntry) => {
  expect(forecastOf({ ...log, ...changes })).toMatchObject({ bytesAnEntry, daysUntilFull: null, warnings: [] });
});
