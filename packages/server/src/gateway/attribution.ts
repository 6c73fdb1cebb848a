/**
 * What a request says of its sender: the app, by `HTTP-Referer` and `X-Title` and in public by `x-tally-app`, its class of traffic,
 * and to whom it may be opened. Self-declared.
 */
import { APP_NAME_LENGTH } from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";
import { AppName } from "./api-keys.ts";

/** An app, as it names itself: the origin of its page and a title; either may be empty. */
export type App = { origin: string; title: string };

const ORIGIN_MOST = 128;
const TITLE_MOST = 64;

/** The app that a request names; undefined where it names none. Of the referer only the origin is kept: paths are private. */
export function appOf(referer: string | undefined, title: string | undefined): App | undefined {
  const app = { origin: originOf(referer), title: titleOf(title) };
  return app.origin === "" && app.title === "" ? undefined : app;
}

function originOf(referer: string | undefined): string {
  if (referer === undefined || !URL.canParse(referer)) return "";
  const { protocol, origin } = new URL(referer);
  return /^https?:$/.test(protocol) && origin.length <= ORIGIN_MOST ? origin : "";
}

/** Letters, digits, marks, punctuation and spaces: nothing that steers a terminal or turns a line around. */
function titleOf(title: string | undefined): string {
  const plain = (title ?? "").replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+/gu, " ").replace(/ +/g, " ");
  return [...plain.trim()].slice(0, TITLE_MOST).join("").trim();
}

const TRAFFIC = ["production", "test", "probe"] as const;
export type Traffic = (typeof TRAFFIC)[number];

/** The class of traffic that `x-tally-traffic` declares; production where it is not there. It is signed with the call. */
export function trafficOf(header: string | undefined): Traffic {
  const traffic = header === undefined ? "production" : TRAFFIC.find((one) => one === header);
  if (traffic !== undefined) return traffic;
  throw new ServiceError("invalid_request", `x-tally-traffic is one of ${TRAFFIC.join(", ")}`, {
    param: "x-tally-traffic",
  });
}

/** The app that `x-tally-app` has the call known under in the log, for everybody to see; undefined where it is not there. */
export function publicAppOf(header: string | undefined): string | undefined {
  if (header === undefined || AppName.safeParse(header).success) return header;
  throw new ServiceError(
    "invalid_request",
    `x-tally-app is a name in lower case of at most ${APP_NAME_LENGTH} characters, as example/shop`,
    { param: "x-tally-app" },
  );
}

/** Whether a verifier that is drawn for it may see the call, by `x-tally-open`; it may where that is not there. It is signed with the call. */
export function openOf(header: string | undefined): "none" | "lot" {
  if (header === undefined || header === "lot") return "lot";
  if (header === "none") return "none";
  throw new ServiceError("invalid_request", "x-tally-open is none or lot", { param: "x-tally-open" });
}
