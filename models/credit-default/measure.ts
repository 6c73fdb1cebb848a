import type { Quality } from "@tallystick/protocol";
import { openModel } from "../load.ts";
import { accuracy, brier, rocAuc } from "../train/metrics.ts";
import { predict } from "../train/predict.ts";
import { heldOut, learnLogistic, meanRocAuc } from "./train.ts";

/** How good the model is on applications it has not seen, and its method over other ways to cut the data. */
export async function measure(): Promise<Quality[]> {
  const chances = await predict(await openModel("credit-default"), heldOut.features);
  const on = `${heldOut.targets.length} held-out applications`;
  return [
    { metric: "ROC AUC", value: rocAuc(chances, heldOut.targets).toFixed(3), on },
    { metric: "accuracy", value: accuracy(chances, heldOut.targets).toFixed(3), on },
    { metric: "Brier score", value: brier(chances, heldOut.targets).toFixed(3), on },
    { metric: "mean ROC AUC", value: meanRocAuc(learnLogistic).toFixed(3), on: `${on}, in each of 20 other splits` },
  ];
}
