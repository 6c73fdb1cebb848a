/**
 * Whose each session key is. A grant and the possession in it are public: whoever copies them could have another's key granted
 * to an account of their own, and both would be one party by the log (docs/spec/usage.md, "Clusters").
 */
import { type FoldState, type Key, keyId, keyOf } from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";

export type SessionKeys = {
  /**
   * Holds `sessionKey` for a payer until the claim is released: by then its grant is in the fold, or was not made. Throws
   * conflict where the key's first grant, in the log or on its way there, is another payer's.
   */
  claim(sessionKey: Uint8Array, payer: Key): { release(): void };
};

export function createSessionKeys({ sessions }: Pick<FoldState, "sessions">): SessionKeys {
  /** By the key's id, the payer of its first grant in the fold. */
  const owners = new Map<Key, Key>();
  const claims = new Map<Key, { payer: Key; count: number }>();
  /** Sessions only ever come. Never asked for more than there are: an iterator that was done once stays so, whatever comes. */
  const unread = sessions.values();
  let readCount = 0;

  function readOn(): void {
    for (; readCount < sessions.size; readCount++) {
      const { value } = unread.next();
      if (value !== undefined && !owners.has(value.sessionKeyId)) owners.set(value.sessionKeyId, value.payer);
    }
  }

  readOn();
  return {
    claim(sessionKey, payer) {
      readOn();
      const name = keyOf(keyId(sessionKey));
      const claimed = claims.get(name) ?? { payer, count: 0 };
      if ((owners.get(name) ?? claimed.payer) !== payer)
        throw new ServiceError(
          "conflict",
          "this session key is granted to another account already: make a new session key",
        );
      claims.set(name, claimed);
      claimed.count++;
      return {
        release() {
          if (--claimed.count === 0) claims.delete(name);
        },
      };
    },
  };
}
