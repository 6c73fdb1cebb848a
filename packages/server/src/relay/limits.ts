/** Every bound of what an upstream may send, and of what is asked of one. */

/** A line of a stream, and what one event's lines make together: a chunk with the logprobs of a long piece fits. */
export const LINE_SIZE_BYTES = 4 * 1024 * 1024;
/** A stream, or an answer in one piece, as it travels: an answer of 128,000 tokens in chunks of 400 bytes fits. */
export const ANSWER_SIZE_BYTES = 64 * 1024 * 1024;
/** Events of a stream: a token each. */
export const STREAM_EVENTS = 1_000_000;
/** What an upstream says instead of an answer. */
export const REFUSAL_SIZE_BYTES = 64 * 1024;
/** How much of an upstream's refusal its caller is shown. */
export const REFUSAL_SHOWN_LENGTH = 300;
/** Choices of one answer. */
export const CHOICES_MOST = 128;
/** Calls of tools in one choice. */
export const TOOL_CALLS_MOST = 128;
/** A model string, an id, a fingerprint, the name of a tool. */
export const WORD_LENGTH = 1_024;
/** Tokens that a call may be said to have used. */
export const TOKENS_MOST = 0xffff_ffff;
/** What may still come behind a whole answer, so that its connection can be used again. */
export const REST_SIZE_BYTES = 64 * 1024;
export const REST_MS = 1_000;
export const UPSTREAMS_FILE_SIZE_BYTES = 1024 * 1024;
