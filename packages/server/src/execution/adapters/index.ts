/** Every adapter there is, by `name@version`. A revision names its own for good, so none is changed or removed. */
import type { Adapter } from "../adapter.ts";
import { causalLm } from "./causal-lm.ts";
import { paddleDetector } from "./paddle-detector.ts";
import { paddleRecognizer } from "./paddle-recognizer.ts";
import { paddleocr } from "./paddleocr.ts";
import { sentencepiece } from "./sentencepiece.ts";
import { sileroVad } from "./silero-vad.ts";
import { tensors } from "./tensors.ts";
import { tfidf } from "./tfidf.ts";

const LIST: Adapter[] = [
  tensors,
  paddleocr,
  paddleDetector,
  paddleRecognizer,
  sileroVad,
  sentencepiece,
  tfidf,
  causalLm,
];

export const ADAPTERS: ReadonlyMap<string, Adapter> = new Map(
  LIST.map((adapter) => [`${adapter.name}@${adapter.version}`, adapter]),
);
