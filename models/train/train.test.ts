import { expect, test } from "vitest";
import * as breastCancer from "../breast-cancer/train.ts";
import * as creditDefault from "../credit-default/train.ts";
import { openModel } from "../load.ts";
import * as seattleTemperature from "../seattle-temperature/train.ts";

const TRAINED = {
  "breast-cancer": breastCancer,
  "credit-default": creditDefault,
  "seattle-temperature": seattleTemperature,
};

test.each(Object.entries(TRAINED))(
  "training %s again gives the committed bytes, and its columns are the manifest's",
  async (folder, { train, COLUMNS }) => {
    const { manifest, files } = await openModel(folder);
    expect(Buffer.from(train()).equals(files.get("model.onnx") ?? new Uint8Array())).toBe(true);
    expect(manifest.forms[0]?.[0]?.columns).toEqual(COLUMNS);
  },
);
