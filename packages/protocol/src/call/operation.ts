/** What a call asks for: tensors, or one of OpenAI's operations (docs/spec/call.md). */
export const OPERATIONS = { infer: 1, chat: 2, completion: 3, embedding: 4, response: 5 } as const;
export type Operation = keyof typeof OPERATIONS;
export type JsonOperation = Exclude<Operation, "infer">;
