/** What the server may use: three pages, and the files they link to. */
export { asset } from "./assets.ts";
export { CONTENT_SECURITY_POLICY } from "./document.ts";
export { renderHome } from "./home.ts";
export { renderProblems } from "./problems-page.ts";
export { renderUsage } from "./usage-page.ts";
export type {
  ClosedDayView,
  HomeView,
  LatestReceipt,
  LogView,
  ProblemView,
  RecomputationView,
  UsageView,
} from "./view.ts";
