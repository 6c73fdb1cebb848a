import type { Quality } from "@tallystick/protocol";
import { openModel } from "../load.ts";
import { meanAbsoluteError, rootMeanSquareError } from "../train/metrics.ts";
import { predict } from "../train/predict.ts";
import { DAY_COLUMN, testDays, trainDays } from "./train.ts";

/** How good the model is on a year it has not seen, beside two forecasts that need no model. */
export async function measure(): Promise<Quality[]> {
  const actual = testDays.map(({ tomorrow }) => tomorrow);
  const features = testDays.map((day) => day.features);
  const forecasts: [string, ArrayLike<number>][] = [
    ["", await predict(await openModel("seattle-temperature"), features)],
    [" of saying tomorrow is as today", testDays.map(({ today }) => today)],
    [" of saying tomorrow is as the season", features.map((row) => seasonMean(row[DAY_COLUMN] ?? 0))],
  ];
  const on = `the ${testDays.length} days of 2015`;
  return forecasts.flatMap(([whose, forecast]) => [
    { metric: `mean absolute error${whose}`, value: `${meanAbsoluteError(forecast, actual).toFixed(2)} °C`, on },
    { metric: `root mean square error${whose}`, value: `${rootMeanSquareError(forecast, actual).toFixed(2)} °C`, on },
  ]);
}

/** The mean of 2012 to 2014 over the days within a week of the day after `day`. */
function seasonMean(day: number): number {
  const near = trainDays.filter(({ features }) => {
    const apart = Math.abs((features[DAY_COLUMN] ?? 0) - day);
    return Math.min(apart, 365 - apart) <= 7;
  });
  return near.reduce((sum, { tomorrow }) => sum + tomorrow, 0) / near.length;
}
