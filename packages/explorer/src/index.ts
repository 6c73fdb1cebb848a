/** What the server may use: one page, and the files it links to. */
export { asset } from "./assets.ts";
export { CONTENT_SECURITY_POLICY, renderHome } from "./home.ts";
export type { HomeView, LatestReceipt } from "./view.ts";
