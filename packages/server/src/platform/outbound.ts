/** Requests that the daemon makes itself, to places that its operator configured: bounded in time and in size. */

export type Outbound = (
  url: string,
  request: { body?: Uint8Array; timeoutMs: number; limitBytes: number },
) => Promise<{ status: number; body: Uint8Array }>;

/** A POST where there is a body, else a GET. Redirects are not followed: who is asked was configured. */
export const requestOutside: Outbound = async (url, { body, timeoutMs, limitBytes }) => {
  const init = body === undefined ? {} : { method: "POST", body: new Uint8Array(body) };
  const answer = await fetch(url, { ...init, redirect: "error", signal: AbortSignal.timeout(timeoutMs) });
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer.body ?? []) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) throw new Error(`${url} answered with more than ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  return { status: answer.status, body: new Uint8Array(Buffer.concat(chunks)) };
};
