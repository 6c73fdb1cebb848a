/** The keys of the log that is simulated. */
import { fixedNoteSigner } from "../fixed-keys.ts";

export const ORIGIN = "log.example/simulated";
export const HISTORY_ORIGIN = `${ORIGIN}/checkpoints`;

export const logSigner = fixedNoteSigner(ORIGIN);
export const historySigner = fixedNoteSigner(HISTORY_ORIGIN, ORIGIN);
export const logKey = logSigner.key;
