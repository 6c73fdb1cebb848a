import type { Quality } from "@tallystick/protocol";
import { openModel } from "../load.ts";
import { accuracy, rocAuc } from "../train/metrics.ts";
import { predict } from "../train/predict.ts";
import { heldOut } from "./train.ts";

/** How good the model is on tumours it has not seen. */
export async function measure(): Promise<Quality[]> {
  const chances = await predict(await openModel("breast-cancer"), heldOut.features);
  const malignant = [...heldOut.targets.keys()].filter((i) => heldOut.targets[i] === 1);
  const missed = malignant.filter((i) => (chances[i] ?? 0) <= 0.5);
  const on = `${heldOut.targets.length} held-out tumours`;
  return [
    { metric: "ROC AUC", value: rocAuc(chances, heldOut.targets).toFixed(3), on },
    { metric: "accuracy", value: accuracy(chances, heldOut.targets).toFixed(3), on },
    { metric: "malignant tumours missed at 0.5", value: `${missed.length} of ${malignant.length}`, on },
  ];
}
