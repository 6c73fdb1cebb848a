/**
 * How a prompt becomes text, as a revision's options say: in `text` and in `chat.message`, `{text}`, `{role}` and `{content}`
 * stand for what the caller wrote; `chat.begin` and `chat.answer` come before all messages and before the answer.
 */
import { z } from "zod";
import type { GenerationRequest } from "../generation.ts";

export const Templates = z.strictObject({
  text: z.string(),
  chat: z.strictObject({ begin: z.string().default(""), message: z.string(), answer: z.string() }),
});
export type Templates = z.infer<typeof Templates>;

/** A template's own words, in which control tokens count, or what a caller wrote, in which they do not. */
export type Part = string | { text: string };

export function promptParts(prompt: GenerationRequest["prompt"], { text, chat }: Templates): Part[] {
  if (prompt.kind === "text") return fill(text, { text: prompt.text });
  return [chat.begin, ...prompt.messages.flatMap((message) => fill(chat.message, message)), chat.answer];
}

function fill(template: string, values: Record<string, string>): Part[] {
  return template.split(/(\{\w+\})/).map((piece) => {
    const value = /^\{\w+\}$/.test(piece) ? values[piece.slice(1, -1)] : undefined;
    return value === undefined ? piece : { text: value };
  });
}
