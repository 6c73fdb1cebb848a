/** A plain server of static files, which knows nothing of logs. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export type FileServer = AsyncDisposable & { url: string };

export async function serveFiles(files: ReadonlyMap<string, Uint8Array>): Promise<FileServer> {
  const server = createServer(({ url = "" }, response) => {
    const bytes = files.get(url.slice(1));
    // An idle connection would be closed after seconds, just as a slow client takes it up again.
    response.writeHead(bytes === undefined ? 404 : 200, { connection: "close" });
    response.end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
