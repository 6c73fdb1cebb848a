/** A network's log with all that belongs to it: its keys, its witnesses, its history, its clock, and the policy that it logs. */
import { access, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import {
  closesAt,
  createNoteKey,
  daysWithoutSnapshot,
  encodeHandover,
  encodeNoteKey,
  equal,
  HANDOVERS,
  handoverText,
  keyOf,
  type NoteKey,
  parseNoteKey,
  type Signer,
  sha256,
  signEntry,
  TILE_WIDTH,
  tileWidth,
  utf8,
} from "@tallystick/protocol";
import { type KeyName, originOf } from "./keys.ts";
import { type Ledger, openLedger } from "./ledger.ts";
import { type Epochs, startEpochs } from "./log/epochs.ts";
import { type History, startHistory } from "./log/history.ts";
import { openFolder } from "./log/opening.ts";
import { Log, type LogOptions } from "./log/service.ts";
import { startSnapshots } from "./log/snapshots.ts";
import { NO_WITNESSES } from "./log/witnesses.ts";
import { type Clock, nowSeconds } from "./platform/clock.ts";
import { closeAll, openAll } from "./platform/closing.ts";
import { systemDisk } from "./platform/disk.ts";
import { OperatorError } from "./platform/errors.ts";
import { syncFolder, writeDurably } from "./platform/files.ts";
import type { DataFolder } from "./platform/folder.ts";
import type { Report } from "./platform/http.ts";
import { type NoteSigner, openNoteSigner } from "./platform/keys.ts";
import { requestOutside } from "./platform/outbound.ts";
import { type NetworkWitnesses, openWitnesses } from "./witnessing.ts";

export type NetworkLogOptions = {
  folder: DataFolder;
  keyFile(name: KeyName): string;
  policyPath: string | undefined;
  /** Whether the operator says that what the network's own witnesses knew is lost. */
  newWitnesses: boolean;
  clock: Clock;
  report: Report;
  integrateIntervalMs: number;
  publishIntervalMs: number;
  epochIntervalMs: number;
};

export type NetworkLog = {
  ledger: Ledger;
  history: Log;
  witnesses: NetworkWitnesses;
  noteSigner: NoteSigner;
  /** Gives the log's key over to a new one, or ends doing so where that was cut short. Whether it did: then open the log again. */
  rotate(signer: Signer, isAsked: boolean): Promise<boolean>;
  /** Logs the policy where it is another than the one in the log, and starts the log's clock. `signer` has the role `log`. */
  begin(signer: Signer): Promise<Begun>;
  close(): Promise<void>;
};

export type Begun = {
  checkpoints: History;
  /** Publishes, witnesses and folds what was appended so far, without waiting for its turn. */
  flush(): Promise<void>;
  writeEpoch(): Promise<void>;
};

/** Entries that may wait to be sequenced, as many as transparency-dev/tessera lets wait. */
const QUEUE_LENGTH = 4_096;

export async function openNetworkLog(options: NetworkLogOptions): Promise<NetworkLog> {
  const { folder, keyFile, clock, report } = options;
  const { log: mark, hasWitnesses, isRestored } = await folder.mark();
  const signer = await openNoteSigner(keyFile("checkpoint"), (key) => mark?.origin ?? originOf(key));
  const origin = signer.key.name;
  const formerKeys = (mark?.formerKeys ?? []).map(parseNoteKey);
  const { integrateIntervalMs, publishIntervalMs } = options;
  const unwitnessed: LogOptions = {
    ...{ disk: systemDisk, clock, report, queueLength: QUEUE_LENGTH, integrateIntervalMs, publishIntervalMs },
    ...{ folder: folder.file("log"), signer, formerKeys, witnessing: NO_WITNESSES, restored: false },
  };
  return openAll(async (closers) => {
    // A log from before witnesses gets them once it is seen to be whole: else its folder is left as it is.
    if (mark !== undefined && !hasWitnesses) await requireWhole(unwitnessed);
    const witnesses = await openWitnesses({
      ...{ keyFile, clock, report, request: requestOutside, policyPath: options.policyPath },
      folder: folder.file("witnesses"),
      logKey: signer.key,
      mayBegin: !hasWitnesses,
      areLost: options.newWitnesses,
    });
    closers.push(witnesses.close);
    const restored = isRestored && (options.newWitnesses ? "witnesses lost" : true);
    const logOptions: LogOptions = { ...unwitnessed, witnessing: witnesses.witnessing, restored };
    const historyOptions = historyOf(unwitnessed); // What is in it is cosigned already.
    if (mark === undefined) await Log.create(logOptions);
    if (!hasWitnesses) await Log.create(historyOptions);
    const ledger = await openLedger(logOptions, folder.file("projections"));
    closers.push(() => ledger.close());
    if (!hasWitnesses || isRestored) await folder.claim({ origin, formerKeys: formerKeys.map(encodeNoteKey) });
    const history = await Log.open(historyOptions);
    closers.push(() => history.close());

    return {
      ledger,
      history,
      witnesses,
      noteSigner: signer,
      close: () => closeAll(closers),
      rotate: (role, isAsked) => rotate({ options, ledger, witnesses, signer, formerKeys }, role, isAsked),

      async begin(role) {
        await logPolicy(ledger, role, witnesses.policyBytes);
        const witnessed = () => ledger.log.witnessed;
        const epochs = startClock(options, ledger, role);
        closers.push(() => epochs.close());
        const snapshots = startSnapshots({
          signer: role,
          due: () => daysWithoutSnapshot(ledger.fold),
          append: ledger.append,
        });
        ledger.log.follow(snapshots.follow);
        closers.push(() => snapshots.written());
        const checkpoints = await startHistory({ log: history, intervalMs: options.epochIntervalMs, witnessed });
        closers.push(() => checkpoints.close());
        const flush = async () => {
          await ledger.log.flush();
          await checkpoints.record();
          await history.flush();
        };
        return { checkpoints, flush, writeEpoch: epochs.write };
      },
    };
  });
}

/** Throws an OperatorError unless the log has all that it has acknowledged, and each entry hashes to its tile. */
async function requireWhole(options: LogOptions): Promise<void> {
  const { tree } = await openFolder(options);
  for (let bundle = 0; bundle * TILE_WIDTH < tree.size; bundle++)
    await tree.readCheckedBundle(bundle, tileWidth("entries", bundle, tree.size));
}

/** The log of the log's checkpoints: the same key under a name of its own, in a folder of its own. */
function historyOf({ signer, formerKeys, folder, ...rest }: LogOptions): LogOptions {
  const named = (key: NoteKey) => createNoteKey(`${key.name}/checkpoints`, key.type, key.publicKey);
  return {
    ...rest,
    folder: join(folder, "checkpoints"),
    signer: { key: named(signer.key), sign: signer.sign },
    formerKeys: formerKeys.map(named),
  };
}

function startClock(
  { epochIntervalMs, clock }: NetworkLogOptions,
  { log, fold, append }: Ledger,
  signer: Signer,
): Epochs {
  const epochs = startEpochs({
    signer,
    intervalMs: epochIntervalMs,
    witnessed: () => log.witnessed,
    append,
    coveredSize: fold.epochs.at(-1)?.size ?? 0,
    othersEnd: fold.untimed.length > 0 ? fold.size : 0,
    isDayDue: () => [...fold.unclosed].some((day) => closesAt(day) <= nowSeconds(clock)),
  });
  log.follow(epochs.follow);
  return epochs;
}

async function logPolicy({ fold, publish }: Ledger, signer: Signer, policy: Uint8Array): Promise<void> {
  if (fold.policyDigest === keyOf(sha256(policy))) return;
  await publish((await signEntry(signer, "policy", { version: 1, policy })).signed.bytes);
}

type Rotating = {
  options: NetworkLogOptions;
  ledger: Ledger;
  witnesses: NetworkWitnesses;
  signer: NoteSigner;
  formerKeys: readonly NoteKey[];
};

/**
 * The handover is logged under the old key, and only then do the files change: whatever is cut short is either not begun, or
 * ended at the next start. Until then the old key signs nothing larger.
 */
async function rotate({ options, ledger, ...log }: Rotating, role: Signer, isAsked: boolean): Promise<boolean> {
  const { folder, keyFile, report } = options;
  const path = keyFile("checkpoint");
  const nextPath = `${path}.next`;
  const isBegun = await access(nextPath).then(
    () => true,
    () => false,
  );
  if (!isAsked && !isBegun) return false;
  const from = log.signer.key;
  const next = await openNoteSigner(nextPath, () => from.name);
  const isLogged = ledger.fold.handovers.some(({ to }) => equal(to.publicKey, next.key.publicKey));
  if (!isLogged && !isAsked) return false; // A key was made and nothing was said of it: it waits for the next time.
  if (!isLogged && ledger.fold.handovers.length >= HANDOVERS)
    throw new OperatorError(`the log's key has changed ${HANDOVERS} times, as often as it may: start a new network`);
  if (!isLogged) await logHandover(ledger, log, next, role);
  const formerKeys = [...new Set([...log.formerKeys, from].map(encodeNoteKey))];
  await folder.claim({ origin: from.name, formerKeys });
  await writeDurably(`${path}.former-${formerKeys.length}`, await readFile(path), 0o600);
  await rename(nextPath, path);
  await syncFolder(join(path, ".."));
  report("the log's key has changed", { from: encodeNoteKey(from), to: encodeNoteKey(next.key) });
  return true;
}

async function logHandover(
  { log, publish }: Ledger,
  { signer, witnesses }: Pick<Rotating, "signer" | "witnesses">,
  next: NoteSigner,
  role: Signer,
): Promise<void> {
  await log.flush();
  const size = log.head.size + 1; // With the handover itself, which the old key still signs for.
  const text = handoverText({ from: signer.key, to: next.key, size });
  const signatures = [signer, next].map(({ key, sign }) => ({
    name: key.name,
    id: key.id,
    signature: sign(utf8(text)),
  }));
  const handover = encodeHandover({ from: signer.key, to: next.key, size, note: { text, signatures } });
  const [, ...lines] = new TextDecoder().decode(witnesses.policyBytes).split("\n");
  const policy = utf8([`log ${encodeNoteKey(next.key)}`, ...lines].join("\n"));
  const index = await publish((await signEntry(role, "policy", { version: 1, policy, handover })).signed.bytes);
  if (index !== size - 1)
    throw new Error(`the handover is entry ${index}, not ${size - 1}: something else was appended`);
  await log.flush();
}
